#!/usr/bin/env bash
# Makes requirements/cpu.lock and gpu.lock from pyproject.toml, and bfcl-2025.8.25.lock, the environment of the older
# bfcl-eval that the paper was scored with; then what BFCL's memory_vector needs beside each of them (launch/bfcl_memory.sh):
# memory.lock, which holds only what cpu.lock lacks, and bfcl-2025.8.25-memory.lock. Versions that still fit are kept.
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
flags=(--quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate
    --custom-compile-command "bash requirements/compile.sh")
echo "bfcl-eval==2025.8.25" \
    | "$uv" pip compile - "${flags[@]}" --output-file requirements/bfcl-2025.8.25.lock "$@"
mapfile -t locked < <(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package=\1/p' requirements/cpu.lock)
"$uv" pip compile pyproject.toml --extra cpu --extra memory --constraint requirements/cpu.lock "${locked[@]}" "${flags[@]}" \
    --output-file requirements/memory.lock "$@"
printf '%s\n' "bfcl-eval==2025.8.25" "$(python3 -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["memory"], sep="\n")')" \
    | "$uv" pip compile - "${flags[@]}" --constraint requirements/bfcl-2025.8.25.lock \
        --output-file requirements/bfcl-2025.8.25-memory.lock "$@"
