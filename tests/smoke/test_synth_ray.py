"""Samples as Ray tasks: the same bytes as in this process."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.cluster import connect
from funreason_train.settings.compose import compose
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.workers import in_processes, on_ray

pytestmark = pytest.mark.smoke

WORDS = (
    *("environments=[shop,travel]", "trajectories=40", "heldout_tasks=3", "tuning_tasks=0"),
    *("graph.episodes=8", "graph.measure=0", "processes=1"),
)


def test_a_ray_cluster_makes_the_same_samples(tmp_path: Path) -> None:
    config = compose("synth", WORDS)
    settings: Any = OmegaConf.to_container(config.synth, resolve=True)
    Phases(settings, 0, tmp_path / "here", partial(in_processes, processes=1)).run()
    with connect(config.cluster, cpus=2):
        Phases(settings, 0, tmp_path / "ray", partial(on_ray, cpus=2)).run()
    for name in ("conversations.jsonl", "graph.json", "funnel.json", "card.html", "tasks/heldout.jsonl"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes(), name
