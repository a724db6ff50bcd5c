"""A run directory on a file system that is full or read-only: one sentence before anything starts, code 2.

The file system is a real one, mounted in a namespace of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from funreason_train.cluster.hosts import enter_rack, why_not

ROOT = os.getuid() == 0
FULL = "mount -t tmpfs -o size=64k full {folder} && ! head -c 1000000 /dev/zero >{folder}/rest 2>/dev/null"
READ_ONLY = "mount -t tmpfs -o ro none {folder}"


@pytest.mark.parametrize("mount", [FULL, READ_ONLY], ids=["full", "read-only"])
@pytest.mark.parametrize("command", ["doctor", "sft", "sft dry_run=true", "plan +recipe=funreason_mt_4b"])
def test_a_folder_that_takes_nothing_is_named_with_the_node(tmp_path: Path, mount: str, command: str) -> None:
    if why_not(ROOT) is not None:  # then nothing can be mounted; the rule itself is tested in cluster
        return
    folder = tmp_path / "shared"
    folder.mkdir()
    words = f"{sys.executable} -m funreason_train {command} run_dir={folder}"
    done = subprocess.run(
        [*enter_rack(ROOT), "sh", "-c", f"{mount.format(folder=folder)} && {words}"],
        capture_output=True,
        text=True,
        timeout=300,
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert str(folder) in done.stderr
    assert os.uname().nodename in done.stderr
    assert "run_dir" in done.stderr, "it does not say what to do"
