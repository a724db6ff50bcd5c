"""Whether `config.json` describes the weights beside it, told by their headers before anything is loaded.

A folder put together by hand, or a config edited for a smaller model, otherwise fails on every worker minutes
after the start, or trains layers that were never loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .weights import Stored, stored_tensors

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
#: What a model's config.json always says -> what some families call it.
_ALWAYS = {
    "num_hidden_layers": _LAYERS[1:],
    "hidden_size": ("n_embd", "d_model", "dim"),
    "vocab_size": ("padded_vocab_size",),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "model_type": (),
}
_SIZES = (
    *("num_hidden_layers", "hidden_size", "vocab_size", "num_attention_heads", "num_key_value_heads"),
    *("head_dim", "intermediate_size", "max_position_embeddings"),
)
#: Endings of `architectures` that answer with something else than the next token.
_OTHER_KINDS = (
    *("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"),
    *("ForMultipleChoice", "ForNextSentencePrediction", "ForCTC", "ForAudioClassification"),
    *("ForImageClassification", "RewardModel"),
)
#: Of parts beside the language model, whose layers and sizes are their own.
_ASIDE = re.compile(r"(?:^|\.)(?:visual|vision\w*|audio\w*|mtp)\.")
_MOST = 10**9  # no size of a model is larger
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings)\.weight$")


def config_problems(config: Mapping[str, Any] | None, folder: Path) -> list[str]:
    """Every contradiction between a model's config.json and its weights, as a sentence.

    Args:
        config: What config.json holds, or None if it cannot be read.
        folder: Where the whole weights are. Names of tensors that are not known here, and sizes that the
            config leaves out, are passed over.
    """
    if config is None:
        return []
    text = config.get("text_config")
    sizes: Mapping[str, Any] = {**config, **text} if isinstance(text, dict) else config
    tensors = {name: one for name, one in stored_tensors(folder).items() if not _ASIDE.search(name)}
    found = [*_number_problems(sizes)] or [
        *_unsaid(config, tensors),
        *_layer_problems(sizes, tensors),
        *_shape_problems(sizes, tensors),
        *_head_problems(config, sizes, tensors),
    ]
    return [
        f"config.json does not describe the weights beside it: {text}. Use the config.json that came with "
        "them"
        for text in found
    ]


def other_kind(config: Mapping[str, Any]) -> str | None:
    """Why a model is none that writes text one token after the other, in a sentence; None if it may be one.

    Args:
        config: Its config.json.
    """
    named = config.get("architectures")
    names = [str(one) for one in named] if isinstance(named, list) else []
    if config.get("is_encoder_decoder") is True:
        what = "an encoder and a decoder"
    elif other := next((one for one in names if one.endswith(_OTHER_KINDS)), None):
        what = f"a {other}"
    else:
        return None
    return f"config.json describes {what} and no language model that chats; use one (…ForCausalLM)"


def _number_problems(sizes: Mapping[str, Any]) -> Iterator[str]:
    """Sizes that are none; lists of them, one a layer, are left to the family."""
    for name in _SIZES:
        value = sizes.get(name)
        odd = value is not None and not isinstance(value, list) and _whole(sizes, name) is None
        if odd or (value is None and name in sizes and name in _ALWAYS):
            yield f"{name} is {json.dumps(value)[:40]}, which is no size of a model"
    if not isinstance(kind := sizes.get("model_type", ""), str):
        yield f"model_type is {json.dumps(kind)[:40]}, which is no name"
    tied = sizes.get("tie_word_embeddings")
    if not isinstance(tied, bool | None):
        yield f"tie_word_embeddings is {json.dumps(tied)[:40]}, which is neither true nor false"


def _unsaid(config: Mapping[str, Any], tensors: Mapping[str, Stored]) -> Iterator[str]:
    """Sizes that are left out: frameworks take their own default, and random numbers for further layers.

    A part of a larger model may leave out what is the default of its family.
    """
    if isinstance(config.get("text_config"), dict) or not any(map(_EMBEDDING.search, tensors)):
        return
    heads = any(name.endswith("self_attn.q_proj.weight") for name in tensors)  # without: no attention, or odd
    for name, others in _ALWAYS.items():
        if not {name, *others} & config.keys() and (heads or name != "num_attention_heads"):
            yield f"it does not say {name}"


def _head_problems(
    config: Mapping[str, Any], sizes: Mapping[str, Any], tensors: Mapping[str, Stored]
) -> Iterator[str]:
    """An output layer of its own that is not there would begin with random numbers."""
    inputs = [(name, one.shape) for name, one in tensors.items() if _EMBEDDING.search(name)]
    tied = config.get("tie_word_embeddings", sizes.get("tie_word_embeddings"))
    if tied is not False or len(inputs) != 1 or len(inputs[0][1]) != 2:
        return
    rows = inputs[0][1][0]
    if not any(name != inputs[0][0] and one.shape[:1] == (rows,) for name, one in tensors.items()):
        yield "tie_word_embeddings is false, and the weights have no output layer (lm_head.weight)"


def _layer_problems(sizes: Mapping[str, Any], tensors: Mapping[str, Stored]) -> list[str]:
    layers = next(filter(None, (_whole(sizes, name) for name in _LAYERS)), None)
    found = {int(match[1]) for name in tensors if (match := _LAYER.search(name))}
    # Those that guess further tokens stand behind the others; files may leave them out.
    more = _whole(sizes, "num_nextn_predict_layers") or 0
    if layers is None or not found or layers <= max(found) + 1 <= layers + more:
        return []
    return [f"num_hidden_layers is {layers}, the weights have {max(found) + 1}"]


def _shape_problems(sizes: Mapping[str, Any], tensors: Mapping[str, Stored]) -> Iterator[str]:
    told: set[str] = set()  # a wrong size shows in every layer
    for name, stored in tensors.items():
        if len(stored.shape) != 2:
            continue
        for place, (label, number) in enumerate(_expected(name, sizes)):
            if number is not None and stored.shape[place] != number and label not in told:
                told.add(label)
                yield f"{label} is {number}, {_kind(name)} of the weights says {stored.shape[place]}"


def _expected(name: str, sizes: Mapping[str, Any]) -> tuple[tuple[str, int | None], ...]:
    """What each dimension of a tensor should be, with the words for it; empty if the name tells nothing."""
    hidden, vocab = ("hidden_size", _whole(sizes, "hidden_size")), ("vocab_size", _whole(sizes, "vocab_size"))
    if _EMBEDDING.search(name) or name.endswith("lm_head.weight"):
        return (vocab, hidden)
    if ".experts." in name or "shared_expert" in name:
        return ()
    middle = ("intermediate_size", _whole(sizes, "intermediate_size"))
    heads, kv = _whole(sizes, "num_attention_heads"), _whole(sizes, "num_key_value_heads")
    width = _whole(sizes, "head_dim")
    if width is None and heads and hidden[1] and hidden[1] % heads == 0:
        width = hidden[1] // heads
    queries = ("num_attention_heads x head_dim", heads * width if heads and width else None)
    keys = ("num_key_value_heads x head_dim", kv * width if kv and width else None)
    table = {
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (middle, hidden),
        "mlp.up_proj.weight": (middle, hidden),
        "mlp.down_proj.weight": (hidden, middle),
    }
    return next((wanted for end, wanted in table.items() if name.endswith(end)), ())


def _kind(name: str) -> str:
    return ".".join(name.removesuffix(".weight").split(".")[-2:])


def _whole(sizes: Mapping[str, Any], name: str) -> int | None:
    value = sizes.get(name)
    return value if type(value) is int and 0 < value <= _MOST else None
