"""The tiny model: a folder that every framework loads, and a tokenizer that keeps values whole."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from funreason_train.dialogue import render_prompt, render_target, steps_of, system_prompt
from funreason_train.errors import UserError
from funreason_train.models.tiny import build
from funreason_train.models.tokenizer import SPECIAL, TAGS
from funreason_train.settings import load_settings
from funreason_train.synth.embedded import generate as embedded

ROOT = Path(__file__).parents[2]
CONFIG = {"seed": 5, "model": yaml.safe_load((ROOT / "configs/model/tiny.yaml").read_text())}
DATA = yaml.safe_load((ROOT / "configs/synth.yaml").read_text())["embedded"]


def texts() -> Iterator[Any]:
    for trajectory in embedded.read({**DATA, "trajectories": 300}, 5):
        steps = steps_of(trajectory, style="compact")
        yield from (message["content"] for message in steps[-1].messages)
        yield from (render_target(step.thought, step.answer) for step in steps)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("tiny") / "base"
    build(path, texts(), CONFIG)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def pieces(tokenizer: Any, text: Any) -> Any:
    return [tokenizer.decode([token]) for token in tokenizer(text).input_ids]


def fingerprint(folder: Any) -> Any:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_folder_loads_and_the_vocabulary_is_the_tokenizers(folder: Any, tokenizer: Any) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == "qwen3"
    assert model.config.vocab_size == len(tokenizer) <= CONFIG["model"]["vocab_size"]
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.float32"}
    assert model.generation_config.eos_token_id[0] == tokenizer.eos_token_id


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_weights(
    folder: Any, tmp_path: Path
) -> None:
    build(tmp_path / "again", texts(), CONFIG)
    build(tmp_path / "other", texts(), {**CONFIG, "seed": 6})
    here, again, other = fingerprint(folder), fingerprint(tmp_path / "again"), fingerprint(tmp_path / "other")
    assert here == again
    assert here["tokenizer.json"] == other["tokenizer.json"]
    assert here["model.safetensors"] != other["model.safetensors"]


def test_building_again_replaces_the_folder(folder: Any, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "left_over").touch()
    build(tmp_path / "base", texts(), CONFIG)
    assert fingerprint(tmp_path / "base") == fingerprint(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "plain words",
        "naïve 東京 🚄 \t\r\n\x00",
        "TKANorford",
        '{"a":[1.5,true,null]}',
        "  <|im_start  ",
        "ÉCOLE Ab1",
    ],
)
def test_any_text_survives(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_control_tokens_are_one_token_and_only_qwens_three_are_special(tokenizer: Any) -> None:
    for token in (*SPECIAL, *TAGS):
        assert len(tokenizer(token).input_ids) == 1
    kept = tokenizer.decode(tokenizer("".join((*SPECIAL, *TAGS))).input_ids, skip_special_tokens=True)
    assert kept == "".join(TAGS)
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"


def test_a_value_is_the_same_tokens_wherever_it_stands(tokenizer: Any) -> None:
    value = pieces(tokenizer, "Norford")
    ident = pieces(tokenizer, "TKA")
    assert ident == ["T", "K", "A"] and len(value) <= 3
    for context in ("Please ship {} now.", '[ship(order="{}")]', '{{"order": "{}"}}', "{}", "to {}, please?"):
        for wanted, text in ((value, "Norford"), (ident, "TKA")):
            found = pieces(tokenizer, context.format(text))
            assert any(found[i : i + len(wanted)] == wanted for i in range(len(found)))


def test_held_out_values_are_made_of_known_parts(tokenizer: Any) -> None:
    from funreason_train.synth.embedded.words import names

    lengths = [len(tokenizer(name).input_ids) for name in names("heldout")]
    assert sum(lengths) / len(lengths) <= 2.5


def test_a_tools_document_costs_few_tokens_and_its_name_is_one(tokenizer: Any) -> None:
    task = next(embedded.tasks("heldout", 1, 0, {"single": 1}))
    documents = task.tool_docs()
    assert all(len(tokenizer(name).input_ids) == 1 for name in task.tools)
    prompt = system_prompt(documents, "compact")
    assert len(tokenizer(prompt).input_ids) <= 25 * len(documents)


def test_held_out_prompts_are_short_and_prompt_and_target_meet_between_tokens(tokenizer: Any) -> None:
    config = {**DATA, "trajectories": 100}
    for trajectory in embedded.read(config, 9):
        for step in steps_of(trajectory, style="compact"):
            prompt, target = render_prompt(step.messages, tokenizer), render_target(step.thought, step.answer)
            ids = [tokenizer(text).input_ids for text in (prompt, target, prompt + target)]
            assert ids[0] + ids[1] == ids[2]
            assert len(ids[0]) <= 320 and len(ids[1]) <= 96


def test_the_folder_holds_json_and_safetensors_only(folder: Any) -> None:
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors", ".jinja", ".txt"}
    assert "auto_map" not in json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(
    "copying", [{"induction": True, "digits": 2}, {"induction": True, "head_dim": 48, "heads": 3}]
)
def test_with_induction_a_new_model_finds_what_followed_a_token_before(
    copying: dict[str, Any], tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    build(tmp_path / "base", texts(), {**CONFIG, "model": {**CONFIG["model"], **copying}})
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base", attn_implementation="eager")
    ids = torch.randperm(500, generator=torch.Generator().manual_seed(0))[:200][None]
    ids[0, 150] = ids[0, 100]
    with torch.no_grad():
        seen = model(ids, output_attentions=True)
    places = torch.arange(1, 200)
    assert seen.attentions[0][0, 0, places, places - 1].mean() > 0.6
    assert seen.attentions[1][0, 0, 150, 101] > 0.6
    copied = seen.logits[0, 150]
    assert (copied > copied[ids[0, 101]]).sum() < len(copied) // 4


def test_pairs_of_digits_are_one_token_and_stand_apart_from_letters(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    build(tmp_path / "base", texts(), {**CONFIG, "model": {**CONFIG["model"], "digits": 2}})
    made = AutoTokenizer.from_pretrained(tmp_path / "base")
    cut = [
        [piece for piece, _ in made.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)]
        for text in ("K1967", "19671")
    ]
    assert cut == [["K", "19", "67"], ["19", "67", "1"]]
    assert made.decode(made("K19671").input_ids) == "K19671"


@pytest.mark.parametrize("sizes", ["model.layers=1", "model.head_dim=4", "model.hidden_size=32"])
def test_sizes_without_room_for_induction_are_refused_by_name(sizes: str) -> None:
    with pytest.raises(UserError, match=r"model\.induction"):
        load_settings("data", ["model=tiny", "model.induction=true", sizes])
