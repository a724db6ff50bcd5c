"""The environment bootstrap with a stand-in for uv: what it installs, when it does nothing, what it says."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from launch.fake_cluster import FAKES, REPO, clean_environment, wait_until


@dataclass
class Checkout:
    """A copy of the repository's bootstrap in a folder whose name has spaces, with a home of its own."""

    root: Path
    home: Path
    log: Path

    def environment(self, *, uv: bool = True, gpu: bool = False, **settings: object) -> dict[str, str]:
        path = [*([FAKES / "uv"] if uv else []), *([FAKES / "gpu"] if gpu else []), "/usr/bin", "/bin"]
        own = {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(self.home),
            "FAKE_UV_LOG": str(self.log),
            "FAKE_PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
        }
        return clean_environment() | own | {name: str(value) for name, value in settings.items()}

    def start(self, **settings: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", self.root / "launch/bootstrap.sh"],
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, **settings: Any) -> tuple[int, str]:
        process = self.start(**settings)
        printed, messages = process.communicate(timeout=300)
        assert printed == "", "stdout belongs to the command that follows"
        return process.returncode, messages

    def calls(self, word: str = "") -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if word in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "my work" / "funreason train"
    (root / "requirements").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    shutil.copytree(REPO / "launch", root / "launch")
    (root / "pyproject.toml").write_text("[project]\n")
    for device in ("cpu", "gpu"):
        (root / f"requirements/{device}.lock").write_text(f"# {device}\n")
    return Checkout(root, tmp_path / "home", tmp_path / "uv.log")


def test_the_first_run_installs_the_lock_and_the_package(checkout: Checkout) -> None:
    code, messages = checkout.run()
    assert code == 0, messages
    venv = checkout.root / ".venv"
    assert checkout.calls("pip sync") == [
        f"pip sync --quiet --python {venv}/bin/python --require-hashes {checkout.root}/requirements/cpu.lock"
    ]
    assert checkout.calls("--editable")[0].endswith(
        f"--no-deps --no-build-isolation --editable {checkout.root}"
    )
    assert (venv / ".stamp").read_text().startswith("cpu ")
    assert list((venv / "lib").rglob("*.pyc")), "what is not compiled is slow to import"


def test_a_second_run_calls_no_uv(checkout: Checkout) -> None:
    checkout.run()
    before = checkout.calls()
    assert checkout.run(uv=False) == (0, "")
    assert checkout.calls() == before


@pytest.mark.parametrize("changed", ["requirements/cpu.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed(checkout: Checkout, changed: str) -> None:
    checkout.run()
    (checkout.root / changed).write_text("# changed\n")
    checkout.run()
    assert len(checkout.calls("pip sync")) == 2


def test_a_moved_repository_is_installed_again(checkout: Checkout) -> None:
    checkout.run()
    moved = checkout.root.with_name("elsewhere")
    checkout.root.rename(moved)
    Checkout(moved, checkout.home, checkout.log).run()
    assert checkout.calls("--editable")[-1].endswith(str(moved))


@pytest.mark.parametrize(
    ("gpu", "settings", "device"),
    [
        (False, {}, "cpu"),
        (True, {}, "gpu"),
        (True, {"FUNREASON_DEVICE": "cpu"}, "cpu"),
        (False, {"FUNREASON_DEVICE": "gpu"}, "gpu"),
    ],
)
def test_the_device(checkout: Checkout, gpu: bool, settings: dict, device: str) -> None:
    code, messages = checkout.run(gpu=gpu, **settings)
    assert code == 0, messages
    assert checkout.calls("pip sync")[0].endswith(f"requirements/{device}.lock")


def test_data_prepared_on_a_login_node_leaves_the_gpu_nodes_environment_alone(checkout: Checkout) -> None:
    """A CPU environment used to be replaced by the GPU job that followed, and the other way round."""
    checkout.run(gpu=True)
    checkout.run(gpu=False)
    checkout.run(gpu=True)
    assert [call.rpartition("/")[2] for call in checkout.calls("pip sync")] == ["gpu.lock", "cpu.lock"]
    assert (checkout.root / ".venv-gpu/.stamp").read_text().startswith("gpu ")
    assert (checkout.root / ".venv/.stamp").read_text().startswith("cpu ")


def test_one_folder_never_changes_its_device(checkout: Checkout, tmp_path: Path) -> None:
    env = tmp_path / "env"
    assert checkout.run(FUNREASON_VENV=env)[0] == 0
    code, messages = checkout.run(FUNREASON_VENV=env, gpu=True)
    assert code == 2 and "holds the environment for cpu, and this machine needs the one for gpu" in messages
    assert checkout.run(FUNREASON_VENV=env, FUNREASON_DEVICE="cpu", gpu=True)[0] == 0
    assert len(checkout.calls("pip sync")) == 1


def test_a_login_node_shares_the_gpu_environment_that_it_is_given(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run(FUNREASON_VENV=tmp_path / "env", gpu=True)
    assert checkout.run(FUNREASON_VENV=tmp_path / "env", gpu=False)[0] == 0
    assert len(checkout.calls("pip sync")) == 1


def test_an_old_driver_is_one_sentence_before_anything_is_installed(checkout: Checkout) -> None:
    code, messages = checkout.run(gpu=True, FAKE_DRIVER="550.54.14")
    assert code == 2 and checkout.calls() == []
    assert (
        "the NVIDIA driver is 550.54.14, and requirements/gpu.lock (CUDA 13) needs 580 or newer" in messages
    )


@pytest.mark.parametrize("answer", ["580.95.05", "600.1", "[N/A]"])
def test_a_new_or_unknown_driver_is_no_obstacle(checkout: Checkout, answer: str) -> None:
    assert checkout.run(gpu=True, FAKE_DRIVER=answer)[0] == 0


def own_smi(folder: Path, text: str) -> str:
    """A PATH with an nvidia-smi of its own first."""
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "nvidia-smi").chmod(0o755)
    return os.pathsep.join(map(str, (folder, FAKES / "uv", os.environ["PATH"])))


def test_a_driver_that_hangs_is_told_after_a_while(checkout: Checkout, tmp_path: Path) -> None:
    path = own_smi(tmp_path / "smi", "exec sleep 600")
    code, messages = checkout.run(PATH=path, FUNREASON_SMI_SECONDS="1")
    assert code == 2 and checkout.calls() == []
    assert "nvidia-smi gave no answer within 1 s" in messages and "FUNREASON_DEVICE=cpu" in messages


def test_a_driver_that_does_not_answer_is_not_silently_a_machine_without_gpus(
    checkout: Checkout, tmp_path: Path
) -> None:
    path = own_smi(
        tmp_path / "smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18"
    )
    code, messages = checkout.run(PATH=path)
    assert code == 0 and "lists no GPU (Failed to initialize NVML" in messages
    assert "FUNREASON_DEVICE=gpu" in messages


def without(tmp_path: Path, *absent: str) -> str:
    """A PATH with all programs of the machine but some."""
    folder = tmp_path / "programs"
    folder.mkdir(parents=True)
    for place in ("/usr/bin", "/bin"):
        for program in Path(place).iterdir():
            if program.name not in absent and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return os.pathsep.join(map(str, (FAKES / "uv", FAKES / "gpu", folder)))


def test_a_gpu_node_without_a_compiler_is_told(checkout: Checkout, tmp_path: Path) -> None:
    """Triton builds a launcher for each kernel at run time; without gcc the first training step failed."""
    code, messages = checkout.run(gpu=True, PATH=without(tmp_path, "gcc", "clang"))
    assert code == 2 and "no C compiler, which Triton needs" in messages
    assert checkout.run(gpu=True, PATH=without(tmp_path / "2", "gcc"), CC=sys.executable)[0] == 0


def test_a_file_system_without_locks_is_guarded_by_a_folder(checkout: Checkout, tmp_path: Path) -> None:
    """Lustre mounted without -o flock, some NFS."""
    (tmp_path / "bin").mkdir()
    flock = tmp_path / "bin/flock"
    flock.write_text(
        '#!/bin/sh\ncase "$*" in *"--nonblock 8") exit 0 ;; esac\necho "No locks available" >&2\nexit 71\n'
    )
    flock.chmod(0o755)
    path = os.pathsep.join(map(str, (tmp_path / "bin", FAKES / "uv", "/usr/bin", "/bin")))
    first = checkout.start(FAKE_UV_SECONDS=1, PATH=path)
    wait_until(lambda: bool(checkout.calls("pip sync")))
    code, messages = checkout.run(PATH=path, FUNREASON_POLL_SECONDS="0.1")
    assert code == 0 and "a folder guards it instead" in messages and "waiting for it" in messages
    first.communicate(timeout=300)
    assert len(checkout.calls("pip sync")) == 1
    assert not (checkout.root / ".venv/.launch.busy").exists()


def test_an_unknown_device_is_refused(checkout: Checkout) -> None:
    code, messages = checkout.run(FUNREASON_DEVICE="tpu")
    assert (code, messages) == (2, "Error: FUNREASON_DEVICE is 'tpu', but only cpu and gpu exist.\n")


def test_an_installation_killed_half_way_is_done_again(checkout: Checkout) -> None:
    process = checkout.start(FAKE_UV_SECONDS=60)
    wait_until(lambda: bool(checkout.calls("pip sync")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (checkout.root / ".venv/.stamp").exists()
    code, messages = checkout.run()
    assert code == 0, messages
    assert len(checkout.calls("pip sync")) == 2
    assert (checkout.root / ".venv/.stamp").exists()


def test_a_failed_update_leaves_no_stamp(checkout: Checkout) -> None:
    checkout.run()
    (checkout.root / "requirements/cpu.lock").write_text("# newer\n")
    code, messages = checkout.run(FAKE_UV_OFFLINE=1)
    assert code == 2
    assert "dns error" in messages
    assert messages.splitlines()[-1].startswith("Error: requirements/cpu.lock could not be installed")
    assert not (checkout.root / ".venv/.stamp").exists()


def test_two_nodes_at_once_install_once(checkout: Checkout) -> None:
    first = checkout.start(FAKE_UV_SECONDS=1)
    wait_until(lambda: bool(checkout.calls("pip sync")))
    code, messages = checkout.run()
    assert code == 0
    assert "another process is installing" in messages
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert len(checkout.calls("pip sync")) == 1


def test_a_broken_interpreter_is_replaced(checkout: Checkout) -> None:
    checkout.run()
    python = checkout.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/gone/python3.11")
    assert checkout.run()[0] == 0
    assert python.resolve() == Path(sys.executable).resolve()


def test_another_place_for_the_environment(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.run(FUNREASON_VENV=tmp_path / "a b/env")[0] == 0
    assert (tmp_path / "a b/env/.stamp").exists()
    assert not (checkout.root / ".venv").exists()


def test_a_folder_with_other_things_is_not_touched(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    code, messages = checkout.run(FUNREASON_VENV=tmp_path / "mine")
    assert code == 2
    assert "holds other files" in messages
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_no_python_is_one_sentence(checkout: Checkout) -> None:
    code, messages = checkout.run(FAKE_PYTHON="/gone/python")
    assert code == 2
    assert messages.splitlines()[-1].startswith("Error: no Python 3.11 or 3.12 was found")


def fake_python(folder: Path, venv_works: bool) -> Path:
    """A python3 whose venv (or, without it, whose pip --target) brings the fake uv."""
    folder.mkdir()
    script = folder / "python3"
    script.write_text(
        f"""#!/usr/bin/env bash
        case "$*" in
            "-m venv "*) {"true" if venv_works else "exit 1"}; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
            "-m pip install --quiet uv") cp '{FAKES}/uv/uv' "$(dirname "$0")/uv" ;;
            "-m pip install --quiet --target "*) mkdir -p "$6/bin"; cp '{FAKES}/uv/uv' "$6/bin/uv" ;;
            *) exit 1 ;;
        esac
        """
    )
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize("venv_works", [True, False])
def test_uv_is_installed_where_it_is_missing(checkout: Checkout, tmp_path: Path, venv_works: bool) -> None:
    python = fake_python(tmp_path / "python", venv_works)
    code, messages = checkout.run(uv=False, PATH=f"{python}:/usr/bin:/bin")
    assert code == 0, messages
    assert (checkout.root / ".venv/.uv/bin/uv").exists()
    assert len(checkout.calls("pip sync")) == 1


def test_a_uv_in_the_home_folder_is_found(checkout: Checkout) -> None:
    (checkout.home / ".local/bin").mkdir(parents=True)
    (checkout.home / ".local/bin/uv").symlink_to(FAKES / "uv/uv")
    assert checkout.run(uv=False)[0] == 0


def test_no_network_for_uv_itself_is_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "python/python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python/python3").chmod(0o755)
    code, messages = checkout.run(uv=False, PATH=f"{tmp_path / 'python'}:/usr/bin:/bin")
    assert code == 2
    assert messages.splitlines()[-1].startswith("Error: uv could not be installed")


def test_pips_mirror_and_certificate_serve_uv_as_well(checkout: Checkout, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin/uv"
    uv.write_text(
        f"#!/bin/sh\necho \"$UV_DEFAULT_INDEX $SSL_CERT_FILE\" >>'{seen}'\nexec '{FAKES}/uv/uv' \"$@\"\n"
    )
    python = tmp_path / "bin/python3"
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in "-m pip --version") exit 0 ;; "-m pip config list") ;; *) exit 1 ;; esac\n'
        "echo \"global.cert='/etc/company.pem'\"\n"
        "echo \"global.index-url='https://file.example/simple'\"\n"
    )
    uv.chmod(0o755)
    python.chmod(0o755)

    def told(**settings: str) -> str:
        shutil.rmtree(checkout.root / ".venv", ignore_errors=True)
        own = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "", "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
        code, messages = checkout.run(**(own | settings))
        assert code == 0, messages
        return seen.read_text().splitlines()[-1]

    assert told() == "https://file.example/simple /etc/company.pem"
    assert (
        told(PIP_INDEX_URL="https://a.example/simple", PIP_CERT="/a.pem") == "https://a.example/simple /a.pem"
    )
    assert (
        told(UV_DEFAULT_INDEX="https://b.example/simple", SSL_CERT_FILE="/b.pem")
        == "https://b.example/simple /b.pem"
    )


def test_skip_leaves_everything_alone(checkout: Checkout) -> None:
    assert checkout.run(uv=False, FUNREASON_BOOTSTRAP="skip") == (0, "")
    assert not (checkout.root / ".venv").exists()


def test_without_a_home_it_installs_all_the_same(checkout: Checkout) -> None:
    """As in a container or a job whose environment was emptied; the scripts run with `set -u`."""
    environment = {name: value for name, value in checkout.environment().items() if name != "HOME"}
    done = subprocess.run(
        ["bash", "-euc", f"source '{checkout.root}/launch/bootstrap.sh'"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert checkout.calls("pip sync")


def test_a_time_limit_that_is_none_does_not_make_a_gpu_node_one_without(checkout: Checkout) -> None:
    code, messages = checkout.run(gpu=True, FUNREASON_SMI_SECONDS="abc")
    assert code == 2 and "FUNREASON_SMI_SECONDS is 'abc'" in messages and not checkout.calls()
