"""Attention that the frameworks lack: packed rows without flash-attn (`varlen`), and trees of rows."""

from .varlen import FLASH, LIBRARY, VARLEN, boundaries, choose, fits, register, varlen_attention

__all__ = ["FLASH", "LIBRARY", "VARLEN", "boundaries", "choose", "fits", "register", "varlen_attention"]
