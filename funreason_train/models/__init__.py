"""The tiny model: a Qwen3 with a byte-level BPE of our own, small enough to train on a laptop."""

from .tiny import build

__all__ = ["build"]
