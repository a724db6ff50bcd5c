"""Models with random weights and rows that need no download: what the steps train on."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Qwen3-4B's sizes (its config.json), and some that take seconds. Either vocabulary is larger than the
#: tokenizer's.
FOUR_B: dict[str, Any] = {
    "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
}  # fmt: skip
TINY: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 700,
}  # fmt: skip
#: Between the two: for what is about order and not about speed.
SMALL: dict[str, Any] = {**TINY, "hidden_size": 256, "intermediate_size": 512, "head_dim": 64}

_WORDS = [
    a + b
    for a in ("ba", "do", "ki", "lu", "me", "na", "ro", "su")
    for b in ("bel", "dar", "kin", "mos", "tan")
]
_TOKENIZER_WORDS = 600
_TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip
TOOLS = [
    {
        "name": name,
        "description": "Sets the lamp.",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    }
    for name in ("lamp", "light")
]


def architecture(sizes: dict[str, Any]) -> Any:
    """The configuration of a Qwen3 with these sizes and the vocabulary's matrix used twice."""
    from transformers import Qwen3Config

    return Qwen3Config(**sizes, tie_word_embeddings=True, max_position_embeddings=40960, use_cache=False)


def model(folder: Path, sizes: dict[str, Any], device: str, seed: int = 0) -> int:
    """Writes a model with random weights and a small tokenizer; returns its number of parameters.

    Args:
        folder: An existing one is kept, since the same sizes are asked for.
        sizes: As in `FOUR_B`.
        device: Where the weights are drawn; bf16 on a GPU, else fp32.
        seed: Decides the weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from funreason_train.models import tiny
    from funreason_train.settings.compose import compose

    whole = folder / "parameters"
    if whole.is_file():
        return int(whole.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    words = [
        f"model.vocab_size={_TOKENIZER_WORDS}",
        "model.layers=1",
        "model.hidden_size=32",
        "model.heads=1",
    ]
    texts = [message["content"] for index in range(200) for message in prompt(index)] + [text(0, 4000)]
    tiny.build(folder, texts, compose(None, words))
    ends = json.loads((folder / "generation_config.json").read_text())
    torch.manual_seed(seed)
    config = architecture(sizes)
    config.eos_token_id, config.pad_token_id = ends["eos_token_id"][0], ends["pad_token_id"]
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        made = AutoModelForCausalLM.from_config(config, dtype=dtype)
    made.generation_config.eos_token_id = ends["eos_token_id"]
    made.generation_config.pad_token_id = ends["pad_token_id"]
    made.save_pretrained(folder)
    count = int(made.num_parameters())
    whole.write_text(str(count))
    return count


def text(seed: int, words: int) -> str:
    """So many words, the same for the same seed."""
    draw = random.Random(seed)
    return " ".join(draw.choice(_WORDS) for _ in range(words))


def prompt(index: int) -> list[Any]:
    """The messages of one RL prompt."""
    from funreason_train.dialogue.protocol import system_prompt

    return [
        {"role": "system", "content": system_prompt(TOOLS, "compact")},
        {"role": "user", "content": f"Lamp {index} on. {text(index, 12)}"},
    ]


def sft_rows(folder: Path, words: list[int]) -> None:
    """Writes rows for SFT, each with a user text of so many words and an answer of a quarter of them."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
        "tags": _TAGS,
    }
    rows = [
        {
            "id": str(index),
            "system": "You call functions.",
            "conversations": [
                {"from": "human", "value": text(2 * index, count)},
                {"from": "gpt", "value": _answer(2 * index + 1, max(1, count // 4))},
            ],
        }
        for index, count in enumerate(words)
    ]
    (folder / "dataset_info.json").write_text(json.dumps({"train": entry}))
    (folder / "train.json").write_text(json.dumps(rows))


def _answer(seed: int, words: int) -> str:
    return f"<think>\n{text(seed, words)}\n</think>\n\n[lamp(on=True)]"


def rl_rows(folder: Path, model_folder: Path, count: int) -> None:
    """Writes `train.parquet` and `val.parquet`, and a reward that is 1 for every second answer.

    A model with random weights is never right, so nothing would be learnt with a real reward.
    """
    import pyarrow
    import pyarrow.parquet
    from transformers import AutoTokenizer

    from funreason_train.dialogue.protocol import render_prompt

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    folder.mkdir(parents=True, exist_ok=True)

    def rows() -> Iterator[dict[str, Any]]:
        for index in range(count):
            messages = prompt(index)
            shown = render_prompt(messages, tokenizer, merged=True)
            gold = {"calls": [{"name": "lamp", "arguments": {"on": True}}], "tools": TOOLS}
            tokens = len(tokenizer(shown)["input_ids"])
            yield {
                "data_source": "proof",
                "prompt": messages,
                "ability": "tools",
                "reward_model": {"style": "rule", "ground_truth": json.dumps(gold)},
                "extra_info": {"index": index, "prompt_tokens": tokens, "id": str(index)},
            }

    data = list(rows())
    for name, part in (("train", data), ("val", data[:4])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), folder / f"{name}.parquet")
    (folder / "reward.py").write_text(
        "def score(solution_str, **_):\n    return {'score': float(sum(solution_str.encode()) % 2)}\n"
    )
