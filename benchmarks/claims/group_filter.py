"""Groups whose samples all scored the same, thrown away and replaced, against trained on as they are.

python benchmarks/claims/group_filter.py
"""

from __future__ import annotations

import json
from pathlib import Path

from claim_arms import HELDOUT, START, Arm, Claim, reinforced
from claim_play import main


def _as_many_groups(folder: Path) -> list[str]:
    """Fewer steps, by the share of groups without signal that the run without the filter had."""
    lines = (folder / "grpo_all" / "rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    silent = [float(json.loads(line)["health/groups_without_signal"]) for line in lines]
    steps = max(1, round(len(lines) * (1 - sum(silent) / len(silent))))
    return [f"rl.steps={steps}", f"rl.save_every={steps}"]


_ALL = reinforced("grpo_all", "start", "rl.algorithm.filter_groups=false", model="{start}/sft/model")
_FILTERED = reinforced(
    "filtered",
    "start",
    "rl.algorithm.filter_groups=true",
    model="{start}/sft/model",
    later=_as_many_groups,
)

CLAIM = Claim(
    "group_filter",
    "Does throwing groups without signal away do better than training on all groups?",
    (
        Arm("all groups", (*START, *_ALL), "{grpo_all}/export", ("grpo_all",)),
        Arm("filtered", (*START, *_ALL, *_FILTERED), "{filtered}/export", ("filtered",)),
    ),
    HELDOUT,
    "SFT model, and groups sampled: the filtered run has fewer steps, by the other's share of silent groups",
)

if __name__ == "__main__":
    main(CLAIM)
