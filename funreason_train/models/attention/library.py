"""Registers `varlen` when it is imported: what verl imports as `model.external_lib` in its workers."""

from .varlen import register

register()
