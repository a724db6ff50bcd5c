"""A test that is skipped fails the test command, but for want of a GPU or without FUNREASON_SLOW."""

from __future__ import annotations

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
@pytest.mark.parametrize("workers", [0, 1])
def test_only_a_missing_gpu_excuses_a_skip(
    pytester: pytest.Pytester, body: str, code: int, workers: int
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_one="import pytest\n" + body, test_two="def test_other(): pass")
    words = [f"--numprocesses={workers}"] if workers else []
    done = pytester.runpytest_subprocess(*words)
    assert done.ret == code
    if code:
        done.stdout.fnmatch_lines(["*skipped, which counts as failed*"])
