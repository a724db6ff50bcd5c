"""Scores for verl, and the audit that runs them over real data."""

from .audit import Finding, audit
from .progress import TurnOutcome, progress, read_turns
from .score import OUTCOMES, REASON_CODES, VARIANTS, RewardOptions, check_options, compute_score, reason_of

__all__ = [
    "OUTCOMES",
    "REASON_CODES",
    "VARIANTS",
    "Finding",
    "RewardOptions",
    "TurnOutcome",
    "audit",
    "check_options",
    "compute_score",
    "progress",
    "read_turns",
    "reason_of",
]
