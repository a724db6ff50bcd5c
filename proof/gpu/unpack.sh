#!/usr/bin/env bash
# Unpacks bundle.tar.xz once and puts it before this machine's own packages. To be sourced, as run.sh does, or by hand:
#   source proof/gpu/unpack.sh [BUNDLE [FOLDER]]
# The repository itself goes on PYTHONPATH as well, so nothing has to be installed.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repo="$(cd "$here/../.." && pwd)"
bundle="${1:-$repo/bundle/bundle.tar.xz}"
site="${2:-${TMPDIR:-/tmp}/funreason-bundle}"

if [[ ! -f "$bundle" ]]; then
    printf 'Error: %s is missing: make it with proof/gpu/bundle.sh on a machine with a package index.\n' "$bundle" >&2
    return 2
fi
if [[ ! -f "$site/.whole" || "$site/.whole" -ot "$bundle" ]]; then
    rm -rf "$site" && mkdir -p "$site"
    if command -v xz >/dev/null; then
        tar -xJf "$bundle" -C "$site"
    else # Python has its own xz
        python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2], filter="data")' "$bundle" "$site"
    fi || { printf 'Error: %s cannot be unpacked into %s.\n' "$bundle" "$site" >&2; return 2; }
    chmod -f +x "$site"/ray/core/src/ray/raylet/raylet "$site"/ray/core/src/ray/gcs/gcs_server || true
    touch "$site/.whole"
fi
export PYTHONPATH="$repo:$site${PYTHONPATH:+:$PYTHONPATH}"
