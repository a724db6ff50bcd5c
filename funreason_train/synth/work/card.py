"""placeholder"""
from __future__ import annotations
from typing import Any


def write_card(*args: Any) -> None:
    """To come."""
