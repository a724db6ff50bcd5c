"""The loss of a GPU run, verl's fused head, against logits that exist as a whole (both on CPU, in fp32)."""

import subprocess
import sys
from typing import Any

TEMPERATURE = 0.7
ENTROPY = 0.1  # the weight of the entropy in the loss, so that its gradient is seen


def made() -> Any:
    import torch
    from transformers import Qwen3Config
    from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=600,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    return Qwen3ForCausalLM(config).train()


def test_log_probabilities_entropy_and_gradients_are_those_of_whole_logits() -> None:
    """In a process of its own: verl's patch changes the model's class for all that follows."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("compared\n")


def compare() -> None:
    import torch
    from verl.models.transformers.monkey_patch import apply_monkey_patch

    model = made()
    ids = torch.randint(0, 600, (1, 40))
    positions = torch.cat([torch.arange(25), torch.arange(15)])[None]  # two samples in one row
    labels = torch.roll(ids, -1, 1)
    common = {"input_ids": ids, "attention_mask": None, "position_ids": positions, "use_cache": False}

    logits = model(**common).logits[0].float() / TEMPERATURE
    every = torch.log_softmax(logits, -1)
    log_probs, entropy = every[torch.arange(40), labels[0]], -(every.exp() * every).sum(-1)
    (log_probs.sum() + ENTROPY * entropy.sum()).backward()
    wanted = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()

    apply_monkey_patch(
        model=model,
        use_remove_padding=True,
        ulysses_sp_size=1,
        use_fused_kernels=True,
        fused_kernels_backend="torch",
    )
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    found = model(**common, temperature=TEMPERATURE, return_dict=True, shift_labels=labels)
    assert found.logits is None
    torch.testing.assert_close(found.log_probs[0], log_probs, rtol=0, atol=2e-6)
    torch.testing.assert_close(found.entropy[0], entropy, rtol=0, atol=4e-6)
    (found.log_probs.sum() + ENTROPY * found.entropy.sum()).backward()
    for name, weight in model.named_parameters():
        scale = wanted[name].abs().max()
        assert (weight.grad - wanted[name]).abs().max() <= 1e-5 * scale + 1e-7, name


if __name__ == "__main__":
    compare()
    print("compared")
