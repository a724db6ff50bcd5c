"""The list of what was not rehearsed comes from comparing what the frameworks get."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.commands.rehearsal.unrehearsed import Gap, by_value, differences


def found(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    return [gap.what for gap in differences("rl", there, here)]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"a": {"batch": 1024}}, {"a": {"batch": 4}}),
        ({"steps": None}, {"steps": 2}),
        ({"save_freq": 10}, {"save_freq": 1}),
        ({"a": [1, 2]}, {"a": [1, 2]}),
        ({"accumulate": 16}, {"accumulate": 2}),
        ({"fsdp_size": 8}, {"fsdp_size": 2}),
        ({"agent": {"num_workers": 8}}, {"agent": {"num_workers": 2}}),
    ],
)
def test_what_is_only_smaller_is_rehearsed(there: dict[str, Any], here: dict[str, Any]) -> None:
    assert found(there, here) == []


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"dtype": "bfloat16"}, {"dtype": "float32"}),
        ({"liger": True}, {"liger": False}),
        ({"liger": True}, {}),
        ({}, {"worker_extension": "ours"}),
        ({"attention": "varlen"}, {"attention": "sdpa"}),
        ({"zero": {"overlap": True}}, {"zero": {"overlap": 0}}),
        # One is no small case of several.
        ({"tensor_model_parallel_size": 2}, {"tensor_model_parallel_size": 1}),
        ({"n_gpus_per_node": 8}, {"n_gpus_per_node": 1}),
        ({"accumulate": 16}, {"accumulate": 1}),
        ({"fsdp_size": 8}, {"fsdp_size": -1}),
    ],
)
def test_another_way_is_not_rehearsed(there: dict[str, Any], here: dict[str, Any]) -> None:
    assert len(found(there, here)) == 1


def test_settings_that_change_alike_are_told_together() -> None:
    gaps = [
        Gap("rl", "actor.dtype", "bfloat16", "float32"),
        Gap("rl", "device", "cuda", "cpu"),
        Gap("rl", "ref.dtype", "bfloat16", "float32"),
    ]
    assert by_value(gaps) == [
        Gap("rl", "actor.dtype, ref.dtype", "bfloat16", "float32"),
        Gap("rl", "device", "cuda", "cpu"),
    ]
