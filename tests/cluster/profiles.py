"""The shipped cluster profiles, composed as the product composes them."""

from __future__ import annotations

from omegaconf import DictConfig

from funreason_train.settings import load_settings


def cluster(name: str, *words: str) -> DictConfig:
    """The section `cluster` of a command with `cluster=NAME`."""
    section = load_settings("sft", [f"cluster={name}", *words]).cluster
    assert isinstance(section, DictConfig)
    return section
