"""Keeps a stage going: what hangs is found, what can pass is tried again, and every failure is told in words."""
