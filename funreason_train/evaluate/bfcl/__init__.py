"""The Berkeley Function-Calling Leaderboard: bfcl-eval's data, generation flow and checkers, run safely."""
