"""What stops a night of 32 GPUs is told before it begins: node, cause and fix in one sentence each."""

import copy
import os
import platform
from pathlib import Path
from typing import Any

import pytest

from funreason_train.cluster.preflight import Expected, facts_here, judge
from funreason_train.cluster.preflight.facts import PACKAGES, _gpus
from funreason_train.cluster.preflight.nodes import clock_error

GPU = {"index": "0", "name": "NVIDIA H20", "total": 97871.0, "free": 97000.0, "driver": "580.95.05"}
NODE: dict[str, Any] = {
    "node": "0@h20-0",
    "time": 1000.0,
    "python": "3.11.7",
    "packages": {"torch": "2.11.0", "ray": "2.60.0"},
    "memory": {"total": 2**40, "available": 2**39},
    "shm": 64 * 2**30,
    "open_files": 65536,
    "route": {"address": "10.0.0.1", "interface": "eth1"},
    "disk": {"/shared/run": {"free": 10 * 2**40, "writable": True}},
    "shared": ["0@h20-0", "1@h20-1"],
    "files": {"/shared/model": "1 abc"},
    "hosts": {"10.0.0.1:6388": True},
    "gpus": [dict(GPU, index=str(n)) for n in range(8)],
    "busy": [],
    "nvlink": True,
    "compiler": "/usr/bin/gcc",
    "headers": True,
    "matmul": "ok",
}
EXPECTED = Expected(
    gpus=8, nodes=2, disk={"/shared/run": 2**40}, host_memory=2**38, packages={"torch": "2.11.0"}
)


def pair(**changes: Any) -> list[Any]:
    """Two good nodes, the second with other facts."""
    first, second = copy.deepcopy(NODE), copy.deepcopy(NODE)
    second |= {"node": "1@h20-1"} | changes
    return [first, second]


def errors(nodes: Any, expected: Any = EXPECTED) -> Any:
    return [str(finding) for finding in judge(nodes, expected) if finding.level == "error"]


def test_two_good_nodes_have_nothing_but_fine_findings() -> None:
    found = judge(pair(), EXPECTED)
    assert {finding.level for finding in found} == {"fine"}
    assert {"versions", "clock", "GPU", "driver", "shared folder", "files", "disk"} <= {
        f.check for f in found
    }


GPUS: list[Any] = NODE["gpus"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gpus": [dict(gpu, driver="550.54") for gpu in GPUS]}, "driver: the NVIDIA driver is 550.54"),
        ({"gpus": GPUS[:7]}, "7 GPUs where 8 are needed"),
        (
            {"gpus": [dict(GPUS[0], free=20480.0), *GPUS[1:]], "busy": ["77 python"]},
            "in use: GPU 0 has 20 of 96 GiB free (77 python)",
        ),
        ({"compiler": None}, "no C compiler"),
        ({"headers": False}, "Python.h is missing"),
        ({"matmul": "ended with code -8"}, "a half-precision product that H20s are known to fail on ended"),
        ({"time": 1000.0 + 3600}, "clock is 3,600 s ahead of that of 0@h20-0"),
        ({"route": {"address": None, "interface": None}}, "has no route to the head"),
        ({"shared": ["1@h20-1"]}, "does not see what 0@h20-0 wrote"),
        (
            {"disk": {"/shared/run": {"free": 2**30, "writable": True}}},
            "/shared/run has 1.0 GiB free, and the",
        ),
        ({"disk": {"/shared/run": {"free": 2**50, "writable": False}}}, "/shared/run cannot be written"),
        ({"shm": 64 * 2**20}, "/dev/shm: 0.1 GiB free"),
        ({"hosts": {"10.0.0.1:6388": False}}, "10.0.0.1:6388 does not answer"),
        ({"files": {"failed": "FileNotFoundError: /shared/model"}}, "FileNotFoundError: /shared/model"),
    ],
)
def test_a_fault_of_one_node_is_one_error_that_names_it(changes: dict[str, Any], said: str) -> None:
    (found,) = errors(pair(**changes))
    assert said in found and found.startswith("1@h20-1: ")
    assert found.count(". ") >= 1, "and says how to fix it"


@pytest.mark.parametrize(("seconds", "said"), [(3600, "3,600 s ahead of"), (-300, "300 s behind")])
@pytest.mark.parametrize("rank", [0, 2, 3])
def test_of_several_clocks_the_wrong_one_is_told(seconds: int, said: str, rank: int) -> None:
    nodes = [copy.deepcopy(NODE) | {"node": f"{number}@h20-{number}"} for number in range(4)]
    nodes[rank]["time"] += seconds
    told = [str(finding) for finding in judge(nodes, EXPECTED) if finding.check == "clock"]
    assert len(told) == 1 and told[0].startswith(f"{rank}@h20-{rank}: clock: its clock is {said}")


def test_a_node_that_cannot_write_the_shared_folder_is_told_once() -> None:
    failed = {"failed": "OSError: [Errno 30] Read-only file system"}
    nodes = pair(shared=failed, disk={"/shared/run": {"free": 2**50, "writable": False}})
    nodes[0]["shared"] = ["0@h20-0"]
    (found,) = errors(nodes)
    assert found == "1@h20-1: disk: /shared/run cannot be written. Choose another run_dir"


def test_a_node_on_which_no_gpu_works_is_no_case_for_another_cublas() -> None:
    nodes = pair(gpus={"failed": "FileNotFoundError: nvidia-smi"}, matmul="ended with code 1 (no driver)")
    (found,) = errors(nodes)
    assert found.startswith("1@h20-1: matrix probe: no GPU can be used there") and "cuBLAS" not in found


def test_a_node_with_another_lock_is_named_beside_the_others() -> None:
    (found,) = errors(pair(packages={"torch": "2.10.0", "ray": "2.60.0"}))
    assert "torch is 2.10.0 on 1@h20-1; 2.11.0 on 0@h20-0" in found


def test_a_cluster_that_is_alike_and_not_as_locked_is_told() -> None:
    nodes = [dict(node, packages={"torch": "2.9.0"}) for node in pair()]
    (found,) = errors(nodes)
    assert "torch is 2.9.0, the lock says 2.11.0" in found


def test_a_model_that_differs_between_nodes_is_told() -> None:
    (found,) = errors(pair(files={"/shared/model": "2 def"}))
    assert "/shared/model differs between 0@h20-0 and 1@h20-1" in found


def test_a_node_that_does_not_answer_is_an_error() -> None:
    (found,) = errors([NODE, {"node": "1@h20-1", "silent": True}], Expected(gpus=8))
    assert found.startswith("1@h20-1: answer: did not answer")


def test_what_a_machine_without_gpus_cannot_show_is_said() -> None:
    found = judge(facts_here({}), Expected())
    assert [finding.level for finding in found if finding.check == "GPU"] == ["unchecked"]
    assert not [finding for finding in found if finding.level == "error"]


def test_slow_links_are_a_warning() -> None:
    (found,) = [f for f in judge(pair(nvlink=False), EXPECTED) if f.level == "warning"]
    assert "not joined by NVLink" in found.what


def test_a_gpu_that_does_not_tell_its_memory_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, NVIDIA GB10, [N/A], [N/A], 580.65.06'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    gpus = _gpus()
    assert gpus == [{"index": "0", "name": "NVIDIA GB10", "total": None, "free": None, "driver": "580.65.06"}]
    levels = {finding.check: finding.level for finding in judge(pair(gpus=gpus), EXPECTED)}
    assert (levels["driver"], levels["GPU memory"]) == ("fine", "fine")


def test_the_facts_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '*query-gpu*) echo "0, NVIDIA H20, 97871, 97000, 580.1" ;;\n'
        '*compute-apps*) echo "7, python" ;;\n'
        '*topo*) echo "GPU0 X NV18" ;;\n'
        "esac\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("funreason_train.cluster.preflight.facts._matmul", lambda: "ok")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    asked = {
        "folders": [str(tmp_path / "not" / "there")],
        "shared": str(tmp_path / "run"),
        "token": "t",
        "files": [str(tmp_path / "model"), str(tmp_path / "model" / "config.json")],
        "hosts": ["127.0.0.1:1"],
        "gpu": True,
        "head": "127.0.0.1",
    }
    (facts,) = facts_here(asked)
    assert facts["node"] == platform.node() and facts["python"] == platform.python_version()
    assert set(facts["packages"]) <= set(PACKAGES) and "torch" in facts["packages"]
    assert facts["gpus"] == [
        {"index": "0", "name": "NVIDIA H20", "total": 97871.0, "free": 97000.0, "driver": "580.1"}
    ]
    assert facts["busy"] == ["7 python"] and facts["nvlink"] is True
    assert facts["shared"] == [platform.node()] and facts["hosts"] == {"127.0.0.1:1": False}
    assert facts["disk"][str(tmp_path / "not" / "there")]["writable"] is True
    assert facts["files"][str(tmp_path / "model" / "config.json")].startswith("2 ")
    assert facts["route"]["address"] == "127.0.0.1"


def test_a_fact_that_cannot_be_had_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (facts,) = facts_here({"gpu": True, "files": ["/nowhere/model"]})
    assert "failed" in facts["gpus"] and "failed" in facts["files"]
    levels = {finding.check: finding.level for finding in judge([facts], Expected(gpus=1))}
    assert levels["GPU"] == "warning" and levels["files"] == "error"


@pytest.mark.parametrize(
    ("said", "error"), [(100.0, 0), (150.0, 0), (200.0, 0), (90.0, -10), (3800.0, 3600), (-3500.0, -3600)]
)
def test_a_node_that_answers_late_has_no_wrong_clock(said: float, error: int) -> None:
    assert clock_error(said, asked=100.0, answered=200.0) == error


def test_the_drivers_least_version_is_the_launch_scripts() -> None:
    from funreason_train.cluster.preflight.gpu_rules import LEAST_DRIVER

    script = Path(__file__).parents[2] / "launch" / "bootstrap.sh"
    assert f"LEAST_DRIVER={LEAST_DRIVER}\n" in script.read_text()
