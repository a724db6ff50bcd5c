#!/usr/bin/env bash
# The whole method on one CPU machine: data, SFT, RL, export and evaluation of a tiny model.
#   bash launch/quickstart.sh [KEY=VALUE ...]
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
find_command
exec funreason-train pipeline +recipe=quickstart_cpu "$@"
