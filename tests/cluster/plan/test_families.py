"""Sizes from config.json: right where the family is known, a clause that says why where they are not."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.cluster.plan.families import FAMILIES, Unplanned, shape_in
from funreason_train.cluster.plan.shape import KNOWN

QWEN3: dict[str, Any] = {
    "model_type": "qwen3",
    "num_hidden_layers": 36,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}


def like(kind: str, layers: int, hidden: int, middle: int, heads: int, vocab: int, **more: Any) -> Any:
    """A config.json with the usual names."""
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
    return {
        "model_type": kind,
        **dict(zip(names, (layers, hidden, middle, heads, vocab), strict=True)),
        **more,
    }


GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024}
#: The sizes of models on the hub, less what their families have as a default.
MODELS: dict[str, dict[str, Any]] = {
    "Llama-3.1-8B": like("llama", 32, 4096, 14336, 32, 128256, num_key_value_heads=8),
    "Llama-3.2-1B": like(
        "llama", 16, 2048, 8192, 32, 128256, num_key_value_heads=8, head_dim=64, tie_word_embeddings=True
    ),
    "Llama-2-7b": like("llama", 32, 4096, 11008, 32, 32000),
    "SmolLM2-135M": like("llama", 30, 576, 1536, 9, 49152, num_key_value_heads=3, tie_word_embeddings=True),
    "SmolLM3-3B": like("smollm3", 36, 2048, 11008, 16, 128256),
    "Qwen2.5-7B": like("qwen2", 28, 3584, 18944, 28, 152064, num_key_value_heads=4),
    "Qwen3-4B": QWEN3,
    "Qwen3-0.6B-no-head": like(
        "qwen3", 28, 1024, 3072, 16, 151936, num_key_value_heads=8, tie_word_embeddings=True
    ),
    "Qwen3-30B-A3B": like(
        "qwen3_moe",
        48,
        2048,
        6144,
        32,
        151936,
        num_key_value_heads=4,
        head_dim=128,
        num_experts=128,
        num_experts_per_tok=8,
        moe_intermediate_size=768,
        decoder_sparse_step=1,
        mlp_only_layers=[],
    ),
    "Mistral-7B-v0.3": like("mistral", 32, 4096, 14336, 32, 32768),
    "Mistral-Nemo": like("mistral", 40, 5120, 14336, 32, 131072, head_dim=128),
    "Mixtral-8x7B": like(
        "mixtral", 32, 4096, 14336, 32, 32000, num_local_experts=8, num_experts_per_tok=2, head_dim=None
    ),
    "OLMoE-1B-7B": like("olmoe", 16, 2048, 1024, 16, 50304, num_experts=64, num_experts_per_tok=8),
    "Granite-3-MoE": like(
        "granitemoe",
        24,
        1024,
        512,
        16,
        49155,
        num_key_value_heads=8,
        num_local_experts=32,
        num_experts_per_tok=8,
        tie_word_embeddings=True,
    ),
    "Phi-3.5-MoE": like("phimoe", 32, 4096, 6400, 32, 32064, num_local_experts=16, num_experts_per_tok=2),
    "Gemma-2-2b": like("gemma2", 26, 2304, 9216, 8, 256000),
    "Gemma-7b": like("gemma", 28, 3072, 24576, 16, 256000),
    "Gemma-3-1b": like("gemma3_text", 26, 1152, 6912, 4, 262144, num_key_value_heads=1),
    "Phi-3-mini": like("phi3", 32, 3072, 8192, 32, 32064),
    "Phi-2": like("phi", 32, 2560, 10240, 32, 51200),
    "Granite-3.3-8B": like(
        "granite", 40, 4096, 12800, 32, 49159, num_key_value_heads=8, tie_word_embeddings=True
    ),
    "OLMo-2-7B": like("olmo2", 32, 4096, 11008, 32, 100352),
    "OLMo-3-7B": like("olmo3", 32, 4096, 11008, 32, 100278),
    "OLMo-1B": like("olmo", 16, 2048, 8192, 16, 50304, tie_word_embeddings=True),
    "Pythia-1.4b": like("gpt_neox", 24, 2048, 8192, 16, 50304),
    "GPT-2": {**GPT2, "vocab_size": 50257},
    "GPT-J": {**GPT2, "model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "vocab_size": 50400},
    "OPT-125m": {**like("opt", 12, 768, 1, 12, 50272), "ffn_dim": 3072, "max_position_embeddings": 2048},
    "Command-R7B": like("cohere2", 32, 4096, 14336, 32, 256000, num_key_value_heads=8),
    "Command-R": like("cohere", 40, 8192, 22528, 64, 256000),
    "EXAONE-4-1.2B": like(
        "exaone4", 30, 2048, 4096, 32, 102400, num_key_value_heads=8, tie_word_embeddings=True
    ),
    "GLM-4-9B": like("glm", 40, 4096, 13696, 32, 151552),
    "GLM-4-9B-0414": like("glm4", 40, 4096, 13696, 32, 151552),
    "Seed-OSS": like("seed_oss", 64, 5120, 27648, 80, 155136),
    "StableLM-2": like("stablelm", 24, 2048, 5632, 32, 100352, num_key_value_heads=32),
    "StarCoder2-3b": like("starcoder2", 30, 3072, 12288, 24, 49152),
    "Minitron-4B": like("nemotron", 32, 3072, 9216, 24, 256000, num_key_value_heads=8, head_dim=128),
    "AFM-4.5B": like("arcee", 36, 2560, 18432, 20, 128005, num_key_value_heads=4, head_dim=128),
    "Apertus-8B": like("apertus", 32, 4096, 21504, 32, 131072, num_key_value_heads=8),
    "ERNIE-4.5-0.3B": like("ernie4_5", 18, 1024, 3072, 16, 103424),
    "Hunyuan-0.5B": like(
        "hunyuan_v1_dense",
        24,
        1024,
        3584,
        16,
        120818,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    ),
    "Ministral": like("ministral", 36, 4096, 12288, 32, 131072, head_dim=128),
    "Ministral-3-text": like("ministral3", 34, 4096, 14336, 32, 131072),
}


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_model_itself(name: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = MODELS[name]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    assert shape_in(config)[0].parameters == pytest.approx(model.num_parameters(), rel=0.02)


#: Only inside models with pictures.
INSIDE = {
    "qwen2_vl": "Qwen2VL",
    "qwen2_5_vl": "Qwen2_5_VL",
    "qwen3_vl": "Qwen3VL",
    "qwen3_vl_moe": "Qwen3VLMoe",
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", INSIDE)
def test_of_a_model_with_pictures_the_language_model_is_counted_and_that_is_said(
    kind: str, tied: bool
) -> None:
    import torch
    import transformers

    text: dict[str, Any] = like(f"{kind}_text", 8, 1024, 3072, 16, 151936, num_key_value_heads=8)
    text |= (
        {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 512} if "moe" in kind else {}
    )
    config = {"model_type": kind, "tie_word_embeddings": tied, "text_config": text, "vision_config": {}}
    with torch.device("meta"):
        whole = getattr(transformers, f"{INSIDE[kind]}ForConditionalGeneration")(
            getattr(transformers, f"{INSIDE[kind]}Config")(
                **{k: v for k, v in config.items() if k != "model_type"}
            )
        )
    shape, notes = shape_in(config)
    visual = sum(one.numel() for name, one in whole.named_parameters() if ".visual." in name)
    assert shape.parameters == pytest.approx(whole.num_parameters() - visual, rel=0.02)
    assert notes == ("only the language model is counted, and not its vision part",)


def test_every_family_was_compared() -> None:
    older = {"qwen2_vl", "qwen2_5_vl"}  # whose sizes stood in the outer file
    seen = {config["model_type"] for config in MODELS.values()} | {f"{kind}_text" for kind in INSIDE} | older
    assert seen == set(FAMILIES)


def test_gemma_3_says_little_and_its_language_model_is_known_all_the_same() -> None:
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    text_config: dict[str, Any] = {"model_type": "gemma3_text", **text}
    shape, notes = shape_in({"model_type": "gemma3", "text_config": text_config, "vision_config": {"a": 1}})
    assert shape.parameters / 1e9 == pytest.approx(3.88, rel=0.01) and notes


def test_quantised_weights_are_said_to_be_counted_in_16_bits() -> None:
    shape, (note,) = shape_in({**QWEN3, "quantization_config": {"bits": 4}, "torch_dtype": None})
    assert shape == KNOWN["qwen3-4b"] and "quantised" in note


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ([1], "holds no object"),
        (None, "holds no object"),
        ({}, "a model without a model_type"),
        ({**QWEN3, "model_type": ["qwen3"]}, "the family ['qwen3'] (model_type), whose parts"),
        *(({**QWEN3, "model_type": kind}, f"the family '{kind}'") for kind in (
            "deepseek_v2", "deepseek_v3", "lfm2", "mamba", "falcon", "qwen3_next", "gemma3n_text", "gpt_oss",
        )),
        ({**QWEN3, "text_config": {"model_type": "llama4_text"}}, "the family 'llama4_text'"),
        *(({**QWEN3, "hidden_size": value}, "says hidden_size=") for value in (
            "2560", 0, -2560, 2560.0, True, [2560], 10**30, float("nan"), "x" * 10**6,
        )),
        ({**QWEN3, "hidden_size": None}, "does not say hidden_size"),
        ({key: value for key, value in QWEN3.items() if key != "vocab_size"}, "does not say vocab_size"),
        ({**GPT2}, "does not say vocab_size"),
        ({**GPT2, "vocab_size": 9, "n_inner": "4"}, "says n_inner='4'"),
        ({**QWEN3, "tie_word_embeddings": "false"}, "says tie_word_embeddings='false'"),
        ({**MODELS["Qwen3-30B-A3B"], "num_experts": None}, "does not say num_local_experts"),
        ({**MODELS["Qwen3-30B-A3B"], "mlp_only_layers": [0]}, "whose layers differ (mlp_only_layers)"),
        ({**MODELS["Qwen3-30B-A3B"], "decoder_sparse_step": 2}, "whose layers differ (decoder_sparse_step)"),
        ({**MODELS["OPT-125m"], "word_embed_proj_dim": 512}, "whose layers differ (word_embed_proj_dim)"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_said_and_not_guessed(config: Any, why: str) -> None:
    with pytest.raises(Unplanned) as caught:
        shape_in(config)
    assert why in str(caught.value) and len(str(caught.value)) < 200
