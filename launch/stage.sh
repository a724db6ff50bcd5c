#!/usr/bin/env bash
# Any stage on any machines: one command, run on every node (or once, on one machine or on a Ray cluster that runs):
#   bash launch/stage.sh sft +recipe=funreason_mt_8gpu [KEY=VALUE ...]
#   NNODES=2 NODE_RANK=0..1 HEAD_ADDR=10.0.0.1 bash launch/stage.sh rl +recipe=funreason_mt_16gpu [KEY=VALUE ...]
#   RAY_ADDRESS=10.0.0.1:6379 bash launch/stage.sh rl +recipe=FILE cluster=FILE [KEY=VALUE ...]
#   bash launch/stage.sh rl +recipe=funreason_mt_8gpu dry_run=true          (anywhere: only prints what would run)
# The settings are described in launch/lib_ray.sh; docs/cluster.md says how to describe machines of your own.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
# shellcheck source=launch/lib_ray.sh
source "$LAUNCH_DIR/lib_ray.sh"
run_on_nodes "$@"
