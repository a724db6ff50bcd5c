#!/usr/bin/env bash
# SFT of the paper's 4B model on 4 nodes of 8 H20. The same command is run on every node:
#   sbatch launch/slurm/sft_h20x32.sbatch [KEY=VALUE ...]
#   NNODES=4 NODE_RANK=0..3 HEAD_ADDR=10.0.0.1 bash launch/sft_h20x32.sh [KEY=VALUE ...]
#   RAY_ADDRESS=10.0.0.1:6379 bash launch/sft_h20x32.sh [KEY=VALUE ...]      (on an existing Ray cluster, once)
#   bash launch/sft_h20x32.sh dry_run=true                                   (anywhere: only prints what would run)
# The settings are described in launch/lib_ray.sh.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
# shellcheck source=launch/lib_ray.sh
source "$LAUNCH_DIR/lib_ray.sh"
run_on_nodes sft +recipe=funreason_mt_4b cluster=h20x32 "$@"
