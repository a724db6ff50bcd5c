#!/usr/bin/env bash
# Every check of this repository: lint, format, types, shell, locks, then the tests (those that start a framework last).
#   bash launch/test.sh                      all of it
#   FUNREASON_TEST=fast bash launch/test.sh  without tests/smoke
#   bash launch/test.sh tests/data -k name   only pytest, with these arguments
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
cd "$REPO_DIR"

failed=()
check() {
    local name="$1"
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

# Folders of tests that start no framework.
pure=()
for folder in tests/*/ tests/test_*.py; do
    if [[ -e "$folder" && "$folder" != */__pycache__/ && "$folder" != tests/smoke/ ]]; then pure+=("$folder"); fi
done

if (($# == 0)); then
    # It takes one core for a minute, so the other checks and the first tests run beside it; its result is shown below.
    said="$(mktemp)"
    mypy >"$said" 2>&1 &
    checker=$!
    trap 'kill "$checker" 2>/dev/null || true; rm -f "$said"' EXIT
    types() {
        local code=0
        wait "$checker" || code=$?
        cat "$said"
        return "$code"
    }
    check "ruff check" ruff check --quiet .
    check "ruff format" ruff format --quiet --check .
    check "shellcheck" shellcheck --external-sources .ci/run launch/*.sh launch/slurm/*.sbatch requirements/*.sh proof/gpu/*.sh
    check "hadolint" hadolint Dockerfile
    check "locks" python requirements/check.py
    # A file's tests stay together, since they share what they prepare, and long files come first (tests/conftest.py).
    spread=(--dist loadfile --no-loadscope-reorder --durations=15)
    check "tests, on all cores" python -m pytest --numprocesses auto "${spread[@]}" "${pure[@]}"
    check "mypy" types
    if [[ "${FUNREASON_TEST:-}" != fast ]]; then
        # Two at a time whatever the machine: each starts processes of its own, which mostly import.
        check "tests that start a framework" python -m pytest --numprocesses 2 "${spread[@]}" tests/smoke
    fi
else
    check "pytest" python -m pytest "$@"
fi

if ((${#failed[@]})); then
    printf -v list '%s, ' "${failed[@]}"
    printf 'Failed: %s\n' "${list%, }" >&2
    exit 1
fi
