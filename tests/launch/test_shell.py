"""Every shell script parses, and the batch files hold nothing that SLURM would not expand."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from launch.fake_cluster import REPO

SHELL = sorted(
    path
    for pattern in ("launch/*.sh", "launch/slurm/*.sbatch", ".ci/run", "requirements/*.sh")
    for path in REPO.glob(pattern)
)


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_a_script_parses_and_is_executable(script: Any) -> None:
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("script", sorted(REPO.glob("launch/slurm/*")), ids=lambda path: path.name)
def test_the_directives_hold_no_variables(script: Any) -> None:
    directives = re.findall(r"^#SBATCH (.*)$", script.read_text(), flags=re.MULTILINE)
    assert {"--nodes=4", "--ntasks-per-node=1", "--gpus-per-node=8"} <= set(directives)
    assert not [line for line in directives if "$" in line]
    assert any(line.startswith("--time=") for line in directives)
    assert any(re.fullmatch(r"--signal=B:USR1@\d+", line) for line in directives), "to the batch file alone"


def test_nothing_ends_processes_by_name() -> None:
    for script in SHELL:
        code = "\n".join(
            line for line in script.read_text().splitlines() if not line.lstrip().startswith("#")
        )
        assert not re.search(r"\bpkill\b|\bkillall\b|\bray stop\b", code), script
