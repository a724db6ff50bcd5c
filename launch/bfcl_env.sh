#!/usr/bin/env bash
# An environment of its own for an older bfcl-eval, beside the main one; prints the path of its python.
#   bash launch/bfcl_env.sh VERSION FOLDER    e.g. 2025.8.25, whose lock is requirements/bfcl-2025.8.25.lock
# The evaluation calls this itself. A finished environment is left alone; several callers at once wait for each other.
set -euo pipefail
(($# == 2)) || { echo "usage: bash launch/bfcl_env.sh VERSION FOLDER" >&2; exit 2; }
PATH="$PATH:${VIRTUAL_ENV:-/nonexistent}/.uv/bin"  # where the main environment keeps its uv if it had to install one
export FUNREASON_BOOTSTRAP=skip  # only the functions are wanted
# shellcheck source=launch/bootstrap.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bootstrap.sh"
unset UV_SYSTEM_PYTHON PYTHONHOME
VENV_DIR="$2"
[[ "$VENV_DIR" == /* ]] || VENV_DIR="$PWD/$VENV_DIR"
export DEVICE="bfcl-$1" LOCK_FILE="$REPO_DIR/requirements/bfcl-$1.lock"
[[ -f "$LOCK_FILE" ]] || fail "$LOCK_FILE is missing: restore it with git or make it with requirements/compile.sh."

wanted_stamp() { printf '%s %s\n' "$DEVICE" "$(sha256sum <"$LOCK_FILE" | cut -d' ' -f1)"; }

install_environment() {
    rm -f "$VENV_DIR/.stamp"
    find_uv || install_uv
    take_over_pip_settings
    make_venv
    note "installing requirements/$DEVICE.lock into $VENV_DIR (once)"
    "$UV" pip sync --quiet --python "$VENV_DIR/bin/python" --require-hashes "$LOCK_FILE" >&2 \
        || fail "requirements/$DEVICE.lock could not be installed (uv's message is above): check the network, the index" \
            "settings of uv or pip and the free disk space, then run this again."
    PYTHONWARNINGS=ignore "$VENV_DIR/bin/python" -m compileall -qq -j 0 "$VENV_DIR/lib" || true
    wanted_stamp >"$VENV_DIR/.stamp.new"
    mv "$VENV_DIR/.stamp.new" "$VENV_DIR/.stamp"
}

is_current || install_once
printf '%s\n' "$VENV_DIR/bin/python"
