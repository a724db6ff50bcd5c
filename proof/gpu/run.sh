#!/usr/bin/env bash
# The proof on this machine's GPU, in one command. In an environment that holds the frameworks (launch/bootstrap.sh makes
# it), or, on an offline machine, with the archive that bundle.sh made:
#   bash proof/gpu/run.sh --out DIR [--steps NAME,NAME] [--seconds 480] [--device cpu --tiny]
#   FUNREASON_BUNDLE=FILE   the archive; default: bundle/bundle.tar.xz in the repository, used where it exists
#   FUNREASON_PYTHON=FILE   the Python to use; default: python, or python3
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repo="$(cd "$here/../.." && pwd)"
bundle="${FUNREASON_BUNDLE:-$repo/bundle/bundle.tar.xz}"
python="${FUNREASON_PYTHON:-$(command -v python || command -v python3)}"
if [[ -f "$bundle" ]]; then
    # shellcheck source=proof/gpu/unpack.sh
    source "$here/unpack.sh" "$bundle"
else
    export PYTHONPATH="$repo${PYTHONPATH:+:$PYTHONPATH}"
fi
# LLaMA-Factory compares versions of packages that the bundle leaves to the machine.
export DISABLE_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error
exec "$python" "$here/proof.py" "$@"
