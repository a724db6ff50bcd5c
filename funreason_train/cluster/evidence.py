"""What others measured with this method, as warnings before time is spent on what brought them no gain.

Source: the independent reproduction zhangdw156/hardtry (`exps/RESULT.csv`), Qwen3-4B models, BFCLv4
multi_turn_base, five runs each. One group's figures, at one size: they warn, they forbid nothing.
"""

from __future__ import annotations

_WHO = "an independent reproduction (zhangdw156/hardtry, Qwen3-4B, BFCL multi_turn_base)"
_MANY = 5_000  # rows: between the 1,000 that gained and the 14,000 that lost


def is_thinking(model: str) -> bool:
    """Whether a model's name says that its chat template opens the thought itself."""
    return "thinking" in model.rsplit("/", 1)[-1].lower()


def of_sft(model: str, finetuning_type: str) -> list[str]:
    """Warnings about an SFT run.

    Args:
        model: The model to start from, a hub id or a folder.
        finetuning_type: `full` or `lora`.
    """
    found = []
    if is_thinking(model):
        found.append(
            f"{_WHO} measured 58 to 60 % for Thinking-2507 as it is and 36.2 % after SFT; start RL from it "
            "without SFT (recipe thinking_egpo_4b)"
        )
    if finetuning_type == "lora":
        found.append(f"{_WHO} found no gain from LoRA where full SFT gained 10 to 20 points")
    return found


def of_rl(model: str, rows: int) -> list[str]:
    """Warnings about an RL run.

    Args:
        model: As above.
        rows: Training prompts; 0 if they are not there yet.
    """
    if is_thinking(model) and rows > _MANY:
        return [
            f"{_WHO} measured 63.5 % after EGPO on 1,000 rows and 54.9 % on 14,000: more of the same data "
            "lost; take fewer (data.NAME.rows) and watch the held-out score"
        ]
    return []
