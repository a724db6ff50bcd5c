"""A checkpoint of verl becomes a model that anyone can load, whose tied weights are held once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from funreason_train.export import stage
from funreason_train.models import tiny
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

torch = pytest.importorskip("torch")

_HEAD, _EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "model"
    words = ["model.vocab_size=400", "model.layers=1", "model.hidden_size=16", "model.heads=1"]
    tiny.build(folder, ["A first sentence.", "And one more of them."], compose(None, words))
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    return folder


def checkpoint(run: RunDir, base: Path) -> None:
    """What verl leaves after a step of one worker: every weight has changed."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base)
    actor = run.rl_checkpoints / "global_step_1" / "actor"
    model.config.save_pretrained(actor / "huggingface")
    AutoTokenizer.from_pretrained(base).save_pretrained(actor / "huggingface")
    state: dict[str, Any] = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    assert _HEAD in state, "FSDP names it as well"
    torch.save(state, actor / "model_world_size_1_rank_0.pt")
    for part in ("optim", "extra_state"):
        torch.save({}, actor / f"{part}_world_size_1_rank_0.pt")
    torch.save({}, actor.parent / "data.pt")
    (actor / "fsdp_config.json").write_text(json.dumps({"world_size": 1}))


@pytest.mark.parametrize("twice", [False, True])
def test_the_export_holds_them_once(tmp_path: Path, base: Path, twice: bool) -> None:
    start = tmp_path / "start"
    start.mkdir()
    for file in base.iterdir():
        (start / file.name).write_bytes(file.read_bytes())
    weights = load_file(base / "model.safetensors")
    if twice:  # as DeepSpeed's copies of the weights come out
        weights[_HEAD] = weights[_EMBEDDINGS].clone()
    save_file(weights, start / "model.safetensors", metadata={"format": "pt"})
    run = RunDir.at(tmp_path / "run")
    checkpoint(run, base)
    result = stage.run(compose("export", [f"run_dir={run.root}", f"rl.model={start}"]), run)
    exported = load_file(run.export / "model.safetensors")
    assert _EMBEDDINGS in exported and _HEAD not in exported
    assert result["tensors"] == result["changed_tensors"] == len(exported)


def test_the_attention_of_the_training_does_not_go_into_the_model(tmp_path: Path, base: Path) -> None:
    run = RunDir.at(tmp_path / "run")
    checkpoint(run, base)
    file = run.rl_checkpoints / "global_step_1/actor/huggingface/config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "attn_implementation": "tree"}))
    stage.run(compose("export", [f"run_dir={run.root}", f"rl.model={base}"]), run)
    assert not [key for key in json.loads((run.export / "config.json").read_text()) if "attn" in key]


@pytest.mark.parametrize(("name", "step"), [("latest", 1), ("kept", None)])
def test_a_checkpoint_may_have_another_name(tmp_path: Path, base: Path, name: str, step: int | None) -> None:
    """A link to one, and a copy that its owner has named."""
    run = RunDir.at(tmp_path / "run")
    checkpoint(run, base)
    place = run.rl_checkpoints / "global_step_1"
    if step:
        (tmp_path / name).symlink_to(place)
    else:
        place.rename(tmp_path / name)
    words = [f"run_dir={run.root}", f"rl.model={base}", f"export.checkpoint={tmp_path / name}"]
    assert stage.run(compose("export", words), run)["step"] == step
    assert (run.export / "model.safetensors").is_file()
