"""Scores for verl, and the audit that runs them over real data."""

from .audit import Finding, audit
from .options import VARIANTS, RewardOptions, check_options
from .outcome import OUTCOMES, REASON_CODES, reason_of
from .progress import TurnOutcome, progress, read_turns
from .score import compute_score

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
