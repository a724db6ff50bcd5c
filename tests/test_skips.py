"""A test that is skipped fails the test command, but for want of a GPU or without FUNREASON_SLOW."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("def test_it(): pass", 0),
        ("def test_it(): pytest.skip('no GPU is here')", 0),
        ("def test_it(): pytest.skip('takes minutes; set FUNREASON_SLOW=1')", 0),
        ("def test_it(): pytest.skip('No module named pip')", 1),
        ("@pytest.mark.skipif(True, reason='bfcl-eval is not installed')\ndef test_it(): pass", 1),
        ("pytest.importorskip('no_such_module')\ndef test_it(): pass", 1),
        ("@pytest.mark.xfail(reason='known')\ndef test_it(): assert False", 0),
    ],
)
def test_only_a_missing_gpu_excuses_a_skip(pytester: pytest.Pytester, body: str, code: int) -> None:
    run(pytester, body, code)


def run(pytester: pytest.Pytester, body: str, code: int, *words: str) -> None:
    """Runs a file with this test, and another one, with our settings of pytest."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_one="import pytest\n" + body, test_two="def test_other(): pass")
    done = pytester.runpytest_subprocess(*words)
    assert done.ret == code
    if code:
        done.stdout.fnmatch_lines(["*skipped, which counts as failed*"])


@pytest.mark.parametrize(
    "body", ["def test_it(): pytest.skip('no')", "pytest.importorskip('no_such_module')"]
)
def test_workers_tell_of_their_skips(pytester: pytest.Pytester, body: str) -> None:
    run(pytester, body, 1, "--numprocesses=1")


def test_long_files_come_first_and_are_there(pytester: pytest.Pytester) -> None:
    tests = Path(__file__).parent
    names = re.findall(r'"([\w/]+\.py)"', CONFTEST)
    assert len(names) > 20 and [name for name in names if not (tests / name).is_file()] == []
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**dict.fromkeys(("test_a", "test_skips", "test_z"), "def test_it(): pass"))
    done = pytester.runpytest_subprocess("--collect-only", "-q")
    done.stdout.fnmatch_lines(
        ["test_skips.py::test_it", "test_a.py::test_it", "test_z.py::test_it"], consecutive=True
    )
