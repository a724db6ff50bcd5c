"""Whether the layers of a model can be told what each token may see; standard library only.

A tree of rows needs that. Attention can be masked; a state that runs along the line (linear attention, state
spaces, convolutions) carries one branch into the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ATTENTION = {"full_attention", "sliding_attention"}
#: Beginnings of the keys with which transformers' configurations describe layers that carry a state.
_STATEFUL = (
    *("mamba_", "ssm_", "rwkv", "wkv", "linear_num_", "linear_conv_", "linear_key_", "linear_attn", "lru_"),
    *("conv_kernel", "conv_L_cache", "conv_bias", "conv_dim", "time_step_", "time_mix", "hybrid_override_"),
)
#: Models of such layers whose configurations may leave those keys to their defaults.
_STATEFUL_MODELS = frozenset(
    (
        *("mamba", "mamba2", "falcon_mamba", "rwkv", "xlstm", "jamba", "bamba", "zamba", "zamba2"),
        *("recurrent_gemma", "falcon_h1", "granitemoehybrid", "nemotron_h", "lfm2", "lfm2_moe", "lfm2_vl"),
        *("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "minimax"),
        *("kimi_linear", "olmo_hybrid", "bailing_moe_linear"),
    )
)


def unmaskable(config: Mapping[str, Any]) -> str | None:
    """Why a model cannot be trained on trees, as the end of a sentence that begins with the model; or None.

    Args:
        config: Its config.json, or transformers' own reading of it, which holds the defaults as well.
    """
    text = config.get("text_config")
    config = {**config, **text} if isinstance(text, Mapping) else config
    types = config.get("layer_types")
    kinds = [str(kind) for kind in types] if isinstance(types, list | tuple) else []
    if others := sorted(set(kinds) - _ATTENTION):
        return (
            f"has {kinds.count(others[0])} of {len(kinds)} layers of the kind {others[0]}, which cannot be "
            "masked: a branch would see the one before it"
        )
    model = str(config.get("model_type", ""))
    stateful = next((key for key in config if key.startswith(_STATEFUL) and config[key] is not None), None)
    if model in _STATEFUL_MODELS or stateful:
        return (
            f"({model or 'of an unknown kind'}{f', {stateful}' if stateful else ''}) has layers that carry a "
            "state along the line, which cannot be masked: a branch would see the one before it"
        )
    if config.get("is_encoder_decoder"):
        return "is an encoder and a decoder; trees are made of the tokens of one"
    if config.get("alibi") or model in ("bloom", "mpt"):
        return "takes distances between tokens from their places in the line (ALiBi), not from positions"
    if config.get("index_topk"):
        return "chooses by itself which tokens it sees (index_topk), which cannot be masked"
    if config.get("attn_logit_softcapping") or model == "gpt_oss":
        return "has soft-capped scores or sinks, which tree attention does not compute"
    if config.get("attention_dropout"):
        return (
            f"leaves out tokens at random (attention_dropout {config['attention_dropout']}), which a tree, "
            "where rows share tokens, cannot do for each row by itself"
        )
    if config.get("output_router_logits"):
        return "balances its experts over the tokens of a pass, of which a tree has fewer"
    return None
