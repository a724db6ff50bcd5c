"""What is done before a stage starts: nodes are looked at (`doctor`), models fetched, rows tokenised."""
