"""What `sft.llamafactory.*` may hold: nothing that goes around a check or that a setting of ours decides."""

from __future__ import annotations

import pytest

from funreason_train.sft.llamafactory import passthrough
from funreason_train.sft.llamafactory.installed_keys import known_keys


def test_every_argument_of_the_installed_versions_is_sorted_once() -> None:
    sorted_in = [set(passthrough.OWNED), set(passthrough._REASON), set(passthrough.ALLOWED)]
    assert known_keys() == set().union(*sorted_in)
    assert sum(map(len, sorted_in)) == len(known_keys())


_GOES_AROUND = """
    template mask_history stage do_train save_only_model train_on_prompt do_predict predict_with_generate
    tokenized_path streaming cutoff_len output_dir overwrite_output_dir resume_from_checkpoint packing
    neat_packing quantization_bit adapter_name_or_path use_unsloth resize_vocab fsdp fp8 ignore_data_skip
    disable_shuffling early_stopping_steps load_best_model_at_end hub_token push_to_hub enable_thinking
    trust_remote_code default_system dataset dataset_dir val_size learning_rate seed finetuning_type
"""


@pytest.mark.parametrize("key", _GOES_AROUND.split())
def test_what_would_go_around_a_check_is_refused_with_a_reason(key: str) -> None:
    (sentence,) = passthrough.problems([key])
    assert sentence.startswith(f"sft.llamafactory.{key}")
    assert sentence.endswith(" instead") or " cannot be set: " in sentence


@pytest.mark.parametrize("key", ["neftune_noise_alpha", "adam_epsilon", "optim", "use_rslora", "tf32"])
def test_what_only_tunes_is_handed_on(key: str) -> None:
    assert passthrough.problems([key]) == []


def test_our_own_keys_are_named() -> None:
    found = passthrough.problems(["template", "finetuning_type", "lora_rank", "save_only_model"])
    assert "prompt protocol renders every row" in found[0]
    assert "set sft.finetuning_type instead" in found[1]
    assert "set sft.lora.rank instead" in found[2]
    assert "able to continue" in found[3]


def test_a_key_that_the_table_lacks_is_refused_until_somebody_looked_into_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passthrough, "known_keys", lambda: known_keys() | {"brand_new"})
    monkeypatch.setattr(passthrough, "unknown_keys", lambda keys: [])
    assert "has not looked into" in passthrough.problems(["brand_new"])[0]
