"""SFT and then RL, against RL alone for as many tokens, and SFT alone.

python benchmarks/claims/sft_then_rl.py
"""

from __future__ import annotations

import json
from pathlib import Path

from claim_arms import GRPO, HELDOUT, START, Arm, Claim, reinforced
from claim_play import main


def _as_many_tokens(folder: Path) -> list[str]:
    """Steps of RL that process as many tokens as SFT and RL did together."""
    sft, rl = (
        [json.loads(line) for line in (folder / place / "metrics.jsonl").read_text("utf-8").splitlines()]
        for place in ("start/sft", "grpo/rl")
    )
    a_step = sum(float(row["global_seqlen/mean"]) for row in rl) / len(rl)
    steps = len(rl) + round(int(sft[-1].get("processed_tokens", sft[-1]["tokens"])) / a_step)
    return [f"rl.steps={steps}", f"rl.save_every={steps}"]


_ALONE = reinforced("rl_alone", "start", model="{start}/base", later=_as_many_tokens)

CLAIM = Claim(
    "sft_then_rl",
    "Does RL need SFT before it?",
    (
        Arm("SFT, then RL", (*START, *GRPO), "{grpo}/export", ("start", "grpo")),
        Arm("RL alone", (*START, *GRPO, *_ALONE), "{rl_alone}/export", ("rl_alone",)),
        Arm("SFT alone", START, "{start}/sft/model", ("start",)),
    ),
    HELDOUT,
    "the untrained model and the prompts; RL alone has as many more steps as SFT's tokens are worth",
)

if __name__ == "__main__":
    main(CLAIM)
