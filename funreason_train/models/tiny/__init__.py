"""The tiny model: a Qwen3 with random weights, made on the spot for whoever has no other."""

from .build import build

__all__ = ["build"]
