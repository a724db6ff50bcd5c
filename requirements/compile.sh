#!/usr/bin/env bash
# Makes requirements/cpu.lock and gpu.lock from pyproject.toml, and bfcl-2025.8.25.lock, the environment of the older
# bfcl-eval that the paper was scored with; versions that still fit are kept.
#   bash requirements/compile.sh [--upgrade | --upgrade-package NAME ...]
# No index address is written; the locks go to every machine with its own mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv="$(command -v uv || echo .venv/.uv/bin/uv)"
for device in cpu gpu; do
    "$uv" pip compile --quiet pyproject.toml requirements/build.in --extra "$device" --extra dev --generate-hashes \
        --python-version 3.11 --no-emit-index-url --no-annotate --custom-compile-command "bash requirements/compile.sh" \
        --output-file "requirements/$device.lock" "$@"
done
echo "bfcl-eval==2025.8.25" | "$uv" pip compile --quiet - --generate-hashes --python-version 3.11 --no-emit-index-url \
    --no-annotate --custom-compile-command "bash requirements/compile.sh" \
    --output-file requirements/bfcl-2025.8.25.lock "$@"
