"""What is looked at on every node before a stage starts; `doctor` shows it."""
