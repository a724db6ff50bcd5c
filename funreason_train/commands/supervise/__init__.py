"""Keeps a stage going: finds what hangs, tries again what can pass, and tells every failure in words."""
