"""A reward for `kills.py` that means nothing, but differs between answers: every step moves the weights."""

import zlib


def score(data_source: str, solution_str: str, ground_truth: str, extra_info: object = None) -> float:
    """A number between 0 and 1 that a checksum of the answer gives."""
    return zlib.crc32(solution_str.encode()) % 5 / 4
