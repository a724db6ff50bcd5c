"""Tokens and time that SFT spends on the same rows: padded, grouped by length, packed, and as trees.

python benchmarks/sft/sft_tree.py [--shapes apigen turns6 steps20] [--tokens 12288] [--repeats 1]
                                  [--model small|qwen3-0.6b|qwen3-4b] [--forms packing tree]

The rows have the shape of the method's data: a thought of about 351 tokens and a call of about 31 (the
averages of BalanceSFT), behind a system message with tools, questions and results. `apigen` are single steps,
`turns6` a conversation of six turns (a call and a closing answer each), `steps20` one of twenty steps in five
turns.

Every form is computed with the stage's own parts (collators, attention, logits of learned positions alone),
forward and backward through a small Qwen3, with about the same number of tokens in a pass. Each runs in a
forked process, so that its peak of memory is its own; times are processor seconds of one thread. All forms
give the same loss, or the benchmark fails. In the small model attention is most of the work, of which trees
save less than of everything else: larger models come closer to the ratio of tokens. `--model qwen3-4b` is
one layer of that model's sizes, so that attention has the share of the work that it has there.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy

from funreason_train.models import attention
from funreason_train.models.attention import tree_attention
from funreason_train.models.attention.tree import TreeRow
from funreason_train.sft.tokens import tables, trees
from funreason_train.sft.tokens.packing import IGNORED, joined, pack

#: Sizes of the model: two layers of a small one, or one layer of Qwen3-0.6B or Qwen3-4B (their config.json).
MODELS = {
    "small": {
        "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 32,
    },
    "qwen3-0.6b": {
        "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 1, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 128,
    },
    "qwen3-4b": {
        "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 1, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128,
    },
}  # fmt: skip
_OPEN, _THINK, _WORDS = (1, 2, 3), (4,), 512
#: Shape -> turns, steps of each, tokens of the system message, and how many conversations.
SHAPES = {"apigen": (1, 1, 700, 24), "turns6": (6, 2, 1500, 1), "steps20": (5, 4, 1500, 1)}


def rows_of(shape: str, seed: int = 0) -> list[tables.NamedRow]:
    """Conversations of a shape, as rows of random tokens."""
    turns, steps, system, count = SHAPES[shape]
    draw = random.Random(seed)

    def words(mean: int) -> list[int]:
        return [draw.randrange(8, _WORDS) for _ in range(max(4, round(draw.gauss(mean, mean / 4))))]

    rows = []
    for number in range(count):
        history = words(system)
        for turn in range(turns):
            history += words(40)
            for step in range(steps):
                prompt = [*history, *_OPEN, *_THINK]
                thought, answer = words(351), words(31)
                ids = numpy.array(prompt + thought + answer, numpy.int32)
                row = TreeRow(ids, len(prompt) - 1, len(prompt) + len(thought))
                rows.append(tables.NamedRow(row, len(prompt), f"{number}/{turn}.{step}"))
                history += [*_OPEN, *answer, *(words(60) if step + 1 < steps or steps == 1 else ())]
    return rows


def labelled(row: TreeRow) -> tuple[list[int], list[int]]:
    ids = row.ids.tolist()
    return ids, [IGNORED] * row.learned + ids[row.learned :]


def padded(rows: list[tables.NamedRow], tokens: int, grouped: bool) -> Iterator[dict[str, Any]]:
    """Batches of rows with padding on the right."""
    import torch

    order = [labelled(one.row) for one in rows]
    random.Random(1).shuffle(order)
    if grouped:
        order.sort(key=lambda one: -len(one[0]))
    size = max(1, tokens // max(len(ids) for ids, _ in order))
    for start in range(0, len(order), size):
        some = order[start : start + size]
        width = math.ceil(max(len(ids) for ids, _ in some) / 8) * 8
        ids, labels = (
            torch.tensor([one[part] + [fill] * (width - len(one[part])) for one in some])
            for part, fill in ((0, 0), (1, IGNORED))
        )
        mask = torch.tensor([[1] * len(one[0]) + [0] * (width - len(one[0])) for one in some])
        yield {"input_ids": ids, "labels": labels, "attention_mask": mask}


def packed(rows: list[tables.NamedRow], tokens: int, kernel: str) -> Iterator[dict[str, Any]]:
    from funreason_train.sft.tokens.collate import PackedCollator

    collate = PackedCollator(_Padding, kernel)
    for group in pack([labelled(one.row) for one in rows], tokens):
        yield collate([joined(group)])


def as_trees(rows: list[tables.NamedRow], tokens: int) -> Iterator[dict[str, Any]]:
    from funreason_train.sft.tokens.tree_batch import SEGMENTS, SPLIT, TreeCollator

    collate = TreeCollator(_Padding)
    for line in trees.lines(rows, tokens, packed=True):
        one = tables.line(line)
        batch = collate([{name: value.tolist() if hasattr(value, "tolist") else value
                          for name, value in one.items()}])  # fmt: skip
        yield {name: value for name, value in batch.items() if name not in (SEGMENTS, SPLIT)}


class _Padding:
    pad_token_id = 0


@dataclass(frozen=True)
class Form:
    """A way to lay rows out: how batches are made of rows and a number of tokens, and the attention."""

    batches: Callable[[list[tables.NamedRow], int], Iterator[dict[str, Any]]]
    attention: str


FORMS = {
    "padding": Form(partial(padded, grouped=False), "sdpa"),
    "length groups": Form(partial(padded, grouped=True), "sdpa"),
    "neat packing": Form(partial(packed, kernel="sdpa"), "sdpa"),
    "packing": Form(partial(packed, kernel=attention.VARLEN), attention.VARLEN),
    "tree": Form(as_trees, tree_attention.TREE),
}


@dataclass(frozen=True)
class Measured:
    """What a form took: processed tokens, learned tokens, seconds, GiB at the peak; and the loss."""

    processed: int
    learned: int
    seconds: float
    memory: float
    loss: float


def measure(sizes: str, shape: str, name: str, tokens: int, repeats: int) -> Measured:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from funreason_train.sft.train.lean import install

    torch.set_num_threads(1)
    attention.register()
    tree_attention.register()
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=_WORDS, max_position_embeddings=4096, use_cache=False, **MODELS[sizes])
    config._attn_implementation = FORMS[name].attention
    model = Qwen3ForCausalLM(config).train()
    install(model)
    rows = rows_of(shape)
    learned = sum(len(one.row.ids) - one.row.learned for one in rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batches = list(FORMS[name].batches(rows, tokens))
    seconds = []
    for _ in range(repeats):
        model.zero_grad()
        start, loss = time.process_time(), 0.0
        for batch in batches:
            found = model(**batch, num_items_in_batch=learned).loss
            found.backward()
            loss += found.item()
        seconds.append(time.process_time() - start)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    processed = sum(batch["input_ids"].numel() for batch in batches)
    return Measured(processed, learned, min(seconds), memory, loss)


def main(sizes: str, shapes: list[str], forms: list[str], tokens: int, repeats: int) -> None:
    import torch
    import transformers.models.qwen3  # noqa: F401  # before the forks

    torch.set_num_threads(1)
    print(f"{sizes}, {tokens} tokens a pass, one thread of {os.cpu_count()} cores; ratios are to packing")
    print("| rows | form | processed a learned token | rows' tokens/s | fewer tokens | faster | memory GiB |")
    print("|---|---|---|---|---|---|---|")
    for shape in shapes:
        split = sum(len(one.row.ids) for one in rows_of(shape))
        found = {}
        for name in forms:
            # Forked: what a form needs at its peak is its own, and nothing is imported again.
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
                found[name] = pool.submit(measure, sizes, shape, name, tokens, repeats).result()
        base = found["packing"]
        for name, one in found.items():
            assert math.isclose(one.loss, base.loss, rel_tol=1e-5), (name, one.loss, base.loss)
            fewer, faster = base.processed / one.processed, base.seconds / one.seconds
            print(
                f"| {shape} | {name} | {one.processed / one.learned:.2f} | {split / one.seconds:,.0f} | "
                f"{fewer:.2f} | {faster:.2f} | {one.memory:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=list(MODELS), default="small")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--tokens", type=int, default=12288)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    if "packing" not in given.forms:
        parser.error("--forms needs packing, which the ratios are to")
    main(given.model, given.shapes, given.forms, given.tokens, given.repeats)
