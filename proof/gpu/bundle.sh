#!/usr/bin/env bash
# Packs what an offline GPU machine lacks (packages.txt) into one archive, at the versions and hashes of
# requirements/gpu.lock, and prints the sizes. unpack.sh puts it on PYTHONPATH there.
#   bash proof/gpu/bundle.sh [FOLDER]      FOLDER: where bundle.tar.xz goes; default: bundle/ in the repository, which
#                                          git ignores
#   FUNREASON_BUNDLE_MIB=64                fail above this size
#   FUNREASON_BUNDLE_XZ=6                  xz's preset: 9e is smaller and takes several times as long
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repo="$(cd "$here/../.." && pwd)"
target="${1:-$repo/bundle}"
limit="${FUNREASON_BUNDLE_MIB:-64}"
preset="${FUNREASON_BUNDLE_XZ:-6}"

fail() { printf 'Error: %s\n' "$*" >&2; exit 2; }
for tool in strip xz tar; do
    command -v "$tool" >/dev/null || fail "the command $tool is missing: install binutils, xz-utils and tar."
done
uv="$(command -v uv || echo "$repo/.venv/.uv/bin/uv")"
[[ -x "$uv" ]] || uv="${FUNREASON_VENV:-$repo/.venv}/.uv/bin/uv"
[[ -x "$uv" ]] || fail "uv is missing: run launch/bootstrap.sh first, or install it."

work="$(mktemp -d)"
trap 'rm -rf "$work" "$target/bundle.tar.xz.new"' EXIT
python3 "$here/locked.py" "$repo/requirements/gpu.lock" "$here/packages.txt" >"$work/requirements.txt"
site="$work/site"
"$uv" pip install --quiet --target "$site" --python-version 3.12 --python-platform x86_64-manylinux_2_28 --no-deps \
    --require-hashes --requirement "$work/requirements.txt"

# What none of our stages runs: Ray's Java, dashboard pages and other libraries, tests, and symbols for debuggers.
rm -rf "${site:?}"/bin "${site:?}"/tests "${site:?}"/ray/{jars,rllib,serve,llm,dashboard/client,cpp,include}
find "$site" -type d \( -name __pycache__ -o -name tests \) -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.so' -o -name '*.so.*' -o -name raylet -o -name gcs_server \) -exec strip --strip-unneeded {} + \
    2>/dev/null || true

mkdir -p "$target"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$site" -cf - . \
    | xz "-$preset" --threads=1 >"$target/bundle.tar.xz.new"
mv "$target/bundle.tar.xz.new" "$target/bundle.tar.xz"

printf '%-22s %10s\n' package 'MiB unpacked'
(cd "$site" && du -sm -- * | sort -rn | head -n 12 | awk '{printf "%-22s %10d\n", $2, $1}')
# What travels beside it: the repository's own files.
tree=0
if git -C "$repo" rev-parse HEAD &>/dev/null; then
    tree="$(cd "$repo" && git ls-files -z | xargs -0 -r du -cb 2>/dev/null | awk '/total$/ {sum += $1} END {print int(sum / 1048576) + 1}')"
fi
size="$(du -m "$target/bundle.tar.xz" | cut -f 1)"
printf 'bundle %d MiB, repository %d MiB, together %d of %d MiB: %s\n' "$size" "$tree" "$((size + tree))" "$limit" \
    "$target/bundle.tar.xz"
((size + tree <= limit)) || fail "bundle and repository are larger than $limit MiB: leave a package out of packages.txt."
