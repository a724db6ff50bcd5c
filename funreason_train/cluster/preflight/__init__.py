"""What has to be true of every node before a stage starts: facts are gathered there, and judged here."""

from .finding import Finding, Level
from .judge import by_level, judge
from .locked import locked_versions
from .nodes import facts_here, facts_of_cluster, facts_of_nodes
from .rule import Expected

__all__ = [
    "Expected",
    "Finding",
    "Level",
    "by_level",
    "facts_here",
    "facts_of_cluster",
    "facts_of_nodes",
    "judge",
    "locked_versions",
]
