"""The plan of a run before it starts: shown, written beside the run, and held against the machines."""
