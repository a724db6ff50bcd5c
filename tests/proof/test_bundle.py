"""What is carried to an offline machine: from the lock alone, and put before the machine's own packages."""

import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GPU = ROOT / "proof" / "gpu"


def test_every_package_of_the_bundle_is_in_the_lock_with_hashes(beside: Any) -> None:
    import locked

    names = locked.names_in((GPU / "packages.txt").read_text())
    assert len(names) == len(set(names)) > 20
    chosen = locked.chosen((ROOT / "requirements" / "gpu.lock").read_text(), names)
    entries = chosen.split("\n")
    assert sum("==" in entry for entry in entries) == len(names)
    assert chosen.count("--hash=sha256:") >= len(names)
    assert "vllm==" not in chosen and "torch==" not in chosen


def test_a_package_that_the_lock_does_not_have_is_named(beside: Any) -> None:
    import locked

    lock = "a-b==1 \\\n    --hash=sha256:x\nc==2 \\\n    --hash=sha256:y\n"
    assert locked.chosen(lock, ["A_B"]) == "a-b==1 \\\n    --hash=sha256:x\n"
    with pytest.raises(ValueError, match="not in the lock: d"):
        locked.chosen(lock, ["c", "d"])


def unpacked(tmp_path: Any, bundle: Any) -> Any:
    script = f"source {GPU / 'unpack.sh'} {bundle} {tmp_path / 'site'}; printf '%s' \"$PYTHONPATH\""
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "/before"}
    )


def test_the_bundle_goes_before_what_was_there_and_is_unpacked_once(tmp_path: Any) -> None:
    (tmp_path / "package.py").write_text("x = 1\n")
    bundle = tmp_path / "bundle.tar.xz"
    with tarfile.open(bundle, "w:xz") as archive:
        archive.add(tmp_path / "package.py", "package.py")
    done = unpacked(tmp_path, bundle)
    site = tmp_path / "site"
    assert done.returncode == 0 and done.stdout == f"{ROOT}:{site}:/before"
    assert (site / "package.py").read_text() == "x = 1\n"
    (site / "package.py").write_text("x = 2\n")
    unpacked(tmp_path, bundle)
    assert (site / "package.py").read_text() == "x = 2\n"
    os.utime(bundle, (2**31, 2**31))  # a newer bundle replaces the old one
    unpacked(tmp_path, bundle)
    assert (site / "package.py").read_text() == "x = 1\n"


def test_a_bundle_that_is_missing_or_broken_is_an_error(tmp_path: Any) -> None:
    done = unpacked(tmp_path, tmp_path / "absent.tar.xz")
    assert "absent.tar.xz is missing" in done.stderr and "bundle.sh" in done.stderr
    (tmp_path / "half.tar.xz").write_bytes(b"\xfd7zXZ\x00cut")
    done = unpacked(tmp_path, tmp_path / "half.tar.xz")
    assert "cannot be unpacked" in done.stderr
    assert not (tmp_path / "site" / ".whole").exists()


#: What the machine has itself, as packages.txt says; by the names that are imported.
MACHINE = {
    *(
        "torch",
        "triton",
        "numpy",
        "pandas",
        "pyarrow",
        "aiohttp",
        "grpc",
        "psutil",
        "rich",
        "jinja2",
        "markupsafe",
    ),
    *(
        "networkx",
        "tensorboard",
        "yaml",
        "safetensors",
        "huggingface_hub",
        "filelock",
        "packaging",
        "pygments",
    ),
    *("typing_extensions", "google", "click", "requests", "certifi", "idna", "urllib3", "charset_normalizer"),
    *("markdown_it", "mdurl", "fsspec", "tqdm", "regex", "sympy", "mpmath"),
}
#: Imports the stages that the proof runs where only such packages can be found.
IMPORTS = '''
import json, sys

class Only:
    """Finds what is allowed, as the finders that were there do, and nothing else."""

    def __init__(self, allowed, finders):
        self.allowed, self.finders = allowed, finders

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in self.allowed or top in sys.stdlib_module_names or top.startswith("_sysconfigdata"):
            return next((spec for one in self.finders if (spec := one.find_spec(name, path, target))), None)

sys.meta_path[:] = [Only(set(json.loads(sys.argv[1])), list(sys.meta_path))]
from funreason_train.commands.stages import stage_of
import funreason_train.commands.cli, funreason_train.commands.execution.worker
import funreason_train.sft.train.workers
import funreason_train.rl.verl.session, funreason_train.models.tiny, funreason_train.settings.compose
for name in ("sft", "rl", "export"):
    stage_of(name)
for command in ("sft", "rl", "export"):
    words = [command, "dry_run=true", "cluster=gpu80x1", f"run_dir={sys.argv[2]}"]
    assert funreason_train.commands.cli.main(words) == 0
'''


def test_the_stages_need_nothing_that_neither_the_bundle_nor_the_machine_has(
    tmp_path: Path, beside: Any
) -> None:
    import json
    import sys
    from importlib.metadata import packages_distributions

    import locked

    carried = {locked._plain(name) for name in locked.names_in((GPU / "packages.txt").read_text())}
    there = {
        module
        for module, wheels in packages_distributions().items()
        if {locked._plain(wheel) for wheel in wheels} & carried
    }
    allowed = json.dumps([*MACHINE, *there, "funreason_train"])
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, allowed, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
