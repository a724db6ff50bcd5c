"""Scores for verl, and the audit that runs them over real data."""

from .audit import Finding, audit
from .score import OUTCOMES, REASON_CODES, VARIANTS, RewardOptions, check_options, compute_score, reason_of

__all__ = [
    "OUTCOMES",
    "REASON_CODES",
    "VARIANTS",
    "Finding",
    "RewardOptions",
    "audit",
    "check_options",
    "compute_score",
    "reason_of",
]
