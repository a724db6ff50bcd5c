"""What this machine is: versions, driver, compiler, and what a bf16 matrix product reaches."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

from . import Job
from .clock import timed

_PACKAGES = (
    "torch", "triton", "transformers", "deepspeed", "ray", "llamafactory", "verl", "liger-kernel",
    "flash-attn", "vllm",
)  # fmt: skip


def run(job: Job) -> None:
    """Notes the facts, then multiplies."""
    job.note(
        python=platform.python_version(),
        cores=os.cpu_count(),
        **{name.replace("-", "_"): _version(name) for name in _PACKAGES},
        compiler=_said(os.environ.get("CC", "gcc"), "--version"),
        headers=(Path(sysconfig.get_path("include")) / "Python.h").is_file(),
        nvcc=_said("nvcc", "--version"),
        driver=_said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
    )
    import torch

    if job.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        job.note(
            card=card.name,
            memory_gib=round(card.total_memory / 2**30, 1),
            capability=f"{card.major}.{card.minor}",
            cuda=torch.version.cuda,
        )
    size = 256 if job.tiny else 8192
    left, right = (torch.randn(size, size, device=job.device, dtype=torch.bfloat16) for _ in range(2))
    seconds = timed(lambda: left @ right, job.device, repeats=10)
    job.note(matmul_tflops=round(2 * size**3 / seconds / 1e12, 3))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _said(*command: str) -> str | None:
    """The line of a program's output that holds a number; None where there is no such program."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    lines = [line.strip() for line in done.stdout.splitlines() if any(letter.isdigit() for letter in line)]
    return lines[-1 if command[0] == "nvcc" else 0] if lines else None
