"""What ended a stage: which words of its log came first, what kind it is and what can be done (pure)."""
