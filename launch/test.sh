#!/usr/bin/env bash
# Every check of this repository: lint, format, types, shell, locks, then the tests (those that start a framework last).
#   bash launch/test.sh                      all of it
#   FUNREASON_TEST=fast bash launch/test.sh  without tests/smoke
#   bash launch/test.sh -k name [FILE ...]   only pytest, with these arguments
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "${BASH_SOURCE[0]}")/bootstrap.sh"
cd "$REPO_DIR"

failed=()
check() {
    local name="$1"
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

# Tests in the order of their cost; an argument that names files replaces them.
choose_tests() {
    local folder argument
    tests=()
    for argument in "$@"; do
        if [[ "$argument" != -* && -e "${argument%%::*}" ]]; then return; fi
    done
    for folder in tests/*/ tests/test_*.py; do
        if [[ -e "$folder" && "$folder" != */__pycache__/ && "$folder" != tests/smoke/ ]]; then tests+=("$folder"); fi
    done
    if [[ "${FUNREASON_TEST:-}" != fast && -d tests/smoke ]]; then tests+=(tests/smoke); fi
}

if (($# == 0)); then
    check "ruff check" ruff check --quiet .
    check "ruff format" ruff format --quiet --check .
    check "mypy" mypy
    check "shellcheck" shellcheck --external-sources .ci/run launch/*.sh launch/slurm/*.sbatch requirements/*.sh
    check "locks" python requirements/check.py
fi
choose_tests "$@"
check "pytest" python -m pytest --durations=15 ${tests[@]+"${tests[@]}"} "$@"

if ((${#failed[@]})); then
    printf -v list '%s, ' "${failed[@]}"
    printf 'Failed: %s\n' "${list%, }" >&2
    exit 1
fi
