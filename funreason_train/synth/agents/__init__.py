"""Who writes: the four agents of the method behind one interface, and what each is asked."""

from .base import Abstracting, Agents, Criticising, Querying, Responding

__all__ = ["Abstracting", "Agents", "Criticising", "Querying", "Responding"]
