"""Phases II and III: an advanced tool and a query for a trace, and the guided chain that solves it."""
