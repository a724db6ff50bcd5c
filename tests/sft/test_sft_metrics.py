"""What a step of supervised fine-tuning leaves in `metrics.jsonl`."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("transformers")

from funreason_train.sft.train.callbacks import MetricsCallback
from funreason_train.sft.train.memory import peak_resident


def lines(file: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def logged(file: Path) -> dict[str, float]:
    state = SimpleNamespace(max_steps=9, global_step=0, is_world_process_zero=True, num_input_tokens_seen=0)
    callback = MetricsCallback(file, total=9)
    callback.on_train_begin(None, state, None)
    state.global_step, state.num_input_tokens_seen = 3, 600
    callback.on_log(None, state, None, {"loss": 2.0, "grad_norm": 1.0})
    return lines(file)[-1]


def test_a_line_tells_the_memory_of_the_worker(tmp_path: Path) -> None:
    line = logged(tmp_path / "metrics.jsonl")
    assert line["step"] == 3 and line["loss"] == 2.0 and line["tokens"] == 600
    assert 0.05 < line["host_memory_gib"] < 100, "transformers is loaded"
    assert not any("reserved" in name for name in line), "there is no GPU"


def test_on_a_gpu_it_tells_the_gpu_s_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 << 30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 4 << 30)
    line = logged(tmp_path / "metrics.jsonl")
    assert (line["memory_allocated_gib"], line["memory_reserved_gib"]) == (3.0, 4.0)


def test_the_peak_stays_when_the_memory_is_given_back() -> None:
    before = peak_resident()
    held = bytearray(200 << 20)
    held[::4096] = b"x" * len(held[::4096])
    during = peak_resident()
    del held
    # The kernel counts a few pages late.
    assert before > 0 and peak_resident() > 0.98 * during and during > 200 << 20
