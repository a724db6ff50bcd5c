"""From a model's `config.json` to the sizes that a plan works with, for the families that are known here.

A family is listed once its number of parameters has been compared with that of transformers' own model (its
test does so again). Of all others the plan says that it does not know them: a guess at mixtures of layers,
latent attention or parts for pictures could be off by any amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .shape import Shape

_MOST = 10**9  # no size of a model is larger


class Unplanned(ValueError):
    """Why a `config.json` gives no sizes: what is wrong with it or not known of it, a clause each."""


@dataclass(frozen=True)
class Family:
    """What models of one `model_type` have in common.

    Attributes:
        tied: Input and output embeddings are one where the file does not say.
        gated: The MLP has a gate: three matrices in place of two.
        qk_norm: Queries and keys are normalised.
        defaults: Sizes that the file may leave out.
        names: Sizes that it calls differently.
        positions: Learned position embeddings: what their number is called, its default, and how many more
            rows there are.
        width: What an expert's width is called, in a mixture of experts; empty for a dense model.
    """

    tied: bool = False
    gated: bool = True
    qk_norm: bool = False
    defaults: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    positions: tuple[str, int, int] | None = None
    width: str = ""


def _keys(heads: int, width: int | None = None) -> dict[str, int]:
    return {"num_key_value_heads": heads} | ({"head_dim": width} if width else {})


_GPT = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
}
_QWEN2, _QWEN3 = Family(defaults=_keys(32)), Family(qk_norm=True, defaults=_keys(32, 128))
_QWEN3_MOE = Family(qk_norm=True, defaults=_keys(4), width="moe_intermediate_size")
_MISTRAL = Family(defaults=_keys(8))
_GLM = Family(defaults=_keys(2, 128))
_GEMMA3 = {"num_attention_heads": 8, "vocab_size": 262208} | _keys(4, 256)

#: `model_type` -> family.
FAMILIES: Mapping[str, Family] = {
    "llama": Family(),
    "mistral": _MISTRAL,
    "ministral": _MISTRAL,
    "ministral3": Family(defaults=_keys(8, 128)),
    "qwen2": _QWEN2,
    "qwen2_vl": _QWEN2,
    "qwen2_vl_text": Family(defaults=_keys(8)),
    "qwen2_5_vl": _QWEN2,
    "qwen2_5_vl_text": Family(defaults=_keys(8)),
    "qwen3": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "phi3": Family(),
    "phi": Family(gated=False),
    "gemma": Family(tied=True, defaults=_keys(16, 256)),
    "gemma2": Family(tied=True, defaults=_keys(4, 256)),
    "gemma3_text": Family(tied=True, qk_norm=True, defaults=_GEMMA3),
    "smollm3": Family(tied=True, defaults=_keys(4)),
    "granite": Family(),
    "olmo": Family(),
    "olmo2": Family(qk_norm=True),
    "olmo3": Family(qk_norm=True),
    "cohere": Family(tied=True),
    "cohere2": Family(tied=True),
    "exaone4": Family(qk_norm=True, defaults=_keys(32)),
    "glm": _GLM,
    "glm4": _GLM,
    "seed_oss": Family(defaults=_keys(8, 128)),
    "stablelm": Family(defaults=_keys(32)),
    "starcoder2": Family(tied=True, gated=False, defaults=_keys(2)),
    "nemotron": Family(gated=False),
    "arcee": Family(gated=False),
    "apertus": Family(gated=False, qk_norm=True),
    "ernie4_5": Family(tied=True, defaults=_keys(2, 128)),
    "hunyuan_v1_dense": Family(qk_norm=True),
    "gpt2": Family(tied=True, gated=False, names=_GPT, positions=("n_positions", 1024, 0)),
    "gptj": Family(gated=False, names=_GPT),
    "gpt_neox": Family(gated=False),
    "opt": Family(
        tied=True,
        gated=False,
        names={"intermediate_size": "ffn_dim"},
        positions=("max_position_embeddings", 2048, 2),
    ),
    "mixtral": Family(defaults=_keys(8), width="intermediate_size"),
    "qwen3_moe": _QWEN3_MOE,
    "qwen3_vl_moe_text": Family(qk_norm=True, defaults=_keys(16), width="moe_intermediate_size"),
    "olmoe": Family(qk_norm=True, width="intermediate_size"),
    "granitemoe": Family(width="intermediate_size"),
    "phimoe": Family(defaults=_keys(8), width="intermediate_size"),
}


def shape_in(config: Any) -> tuple[Shape, tuple[str, ...]]:
    """The sizes that a `config.json` describes, and what is not counted in them.

    Args:
        config: What the file holds.

    Raises:
        Unplanned: it is no model's, a size is missing or cannot be, or the family is not known here.
    """
    if not isinstance(config, Mapping):
        raise Unplanned("holds no object with settings")
    text = config.get("text_config")
    sizes: Mapping[str, Any] = {**config, **text} if isinstance(text, Mapping) else config
    kind = sizes.get("model_type")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        named = f"the family {kind!r:.40} (model_type)" if kind else "a model without a model_type"
        raise Unplanned(f"describes {named}, whose parts this plan does not know")
    unlike = [key for key in _UNLIKE if _UNLIKE[key](sizes.get(key), sizes)]
    if unlike:
        raise Unplanned(
            f"describes a {kind} whose layers differ ({unlike[0]}), which this plan does not know"
        )
    return _shape(family, _Sizes(sizes, family), _tied(config, sizes, family)), tuple(_notes(config))


#: Settings that make a model another than its family -> whether they do.
_UNLIKE: Mapping[str, Any] = {
    "mlp_only_layers": lambda value, _: bool(value),
    "decoder_sparse_step": lambda value, _: value not in (None, 1),
    "word_embed_proj_dim": lambda value, sizes: value not in (None, sizes.get("hidden_size")),
}


class _Sizes:
    """Reads sizes by their names in the file, or the family's defaults."""

    def __init__(self, config: Mapping[str, Any], family: Family) -> None:
        self._config, self._family = config, family

    def maybe(self, name: str) -> int | None:
        """A size; None where the file says null, or nothing and the family has no default."""
        own = self._family.names.get(name, name)
        key = own if own in self._config else name
        if key not in self._config:
            return self._family.defaults.get(name)
        value = self._config[key]
        if value is None:
            return None
        if type(value) is not int or not 0 < value <= _MOST:
            raise Unplanned(f"says {key}={value!r:.40}, which is no size of a model")
        return value

    def must(self, name: str) -> int:
        """A size that has to be there."""
        value = self.maybe(name)
        if value is None:
            raise Unplanned(f"does not say {self._family.names.get(name, name)}")
        return value


def _shape(family: Family, sizes: _Sizes, tied: bool) -> Shape:
    hidden, heads = sizes.must("hidden_size"), sizes.must("num_attention_heads")
    experts = (sizes.maybe("num_experts") or sizes.must("num_local_experts")) if family.width else 0
    middle = sizes.maybe(family.width or "intermediate_size")
    if middle is None and "n_inner" in family.names.values():
        middle = 4 * hidden
    extra = 0
    if family.positions:
        name, default, more = family.positions
        extra = ((sizes.maybe(name) or default) + more) * hidden
    return Shape(
        layers=sizes.must("num_hidden_layers"),
        hidden=hidden,
        intermediate=middle or sizes.must(family.width or "intermediate_size"),
        heads=heads,
        kv_heads=sizes.maybe("num_key_value_heads") or heads,
        head_dim=sizes.maybe("head_dim") or max(1, hidden // heads),
        vocab=sizes.must("vocab_size"),
        tied=tied,
        qk_norm=family.qk_norm,
        experts=experts,
        active=sizes.must("num_experts_per_tok") if experts else 0,
        gated=family.gated,
        extra=extra,
    )


def _tied(config: Mapping[str, Any], sizes: Mapping[str, Any], family: Family) -> bool:
    """What the outer file says counts before what the language model's part says."""
    said = next((one["tie_word_embeddings"] for one in (config, sizes) if "tie_word_embeddings" in one), None)
    if said is None:
        return family.tied
    if not isinstance(said, bool):
        raise Unplanned(f"says tie_word_embeddings={said!r:.40}, which is neither true nor false")
    return said


def _notes(config: Mapping[str, Any]) -> list[str]:
    parts = [name for name in ("vision", "audio") if isinstance(config.get(f"{name}_config"), Mapping)]
    notes = [f"only the language model is counted, and not its {part} part" for part in parts]
    if config.get("quantization_config"):
        notes.append("its weights are stored quantised, and are counted in 16 bits")
    return notes
