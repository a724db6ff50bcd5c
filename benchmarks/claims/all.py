"""Every table of docs/evidence.md, one after another; a killed run continues.

python benchmarks/claims/all.py                  # three seeds at full scale
python benchmarks/claims/all.py --scale tiny     # that everything runs
python benchmarks/claims/all.py --table          # the tables of what is there
"""

from __future__ import annotations

from amount import CLAIM as AMOUNT
from balance import CLAIM as BALANCE
from claim_play import main
from directed_hard import CLAIM as DIRECTED_HARD
from egpo import CLAIM as EGPO
from group_filter import CLAIM as GROUP_FILTER
from guided_chain import CLAIM as GUIDED_CHAIN
from progress_reward import CLAIM as PROGRESS_REWARD
from sft_then_rl import CLAIM as SFT_THEN_RL

CLAIMS = (
    *(DIRECTED_HARD, GUIDED_CHAIN, AMOUNT, BALANCE),
    *(EGPO, GROUP_FILTER, PROGRESS_REWARD, SFT_THEN_RL),
)

if __name__ == "__main__":
    main(*CLAIMS)
