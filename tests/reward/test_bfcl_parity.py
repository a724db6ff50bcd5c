"""The `bfcl` variant beside BFCL's own decoder and checker: a sample of reward_bfcl_parity.py."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from funreason_train.dialogue.completion import read_answer

pytest.importorskip("bfcl_eval")

pytestmark = pytest.mark.filterwarnings("ignore")  # Python's parser warns of odd escapes
BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "reward"


@pytest.fixture(scope="module")
def parity() -> Iterator[ModuleType]:
    """The benchmark as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(
            "reward_bfcl_parity", BENCHMARKS / "reward_bfcl_parity.py"
        )
        assert spec and spec.loader
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_bfcls_gold_answers_are_right(parity: ModuleType) -> None:
    judge = parity.Judge()
    wrong = {case.entry.id: case.ours for case in parity.gold_cases(judge) if case.ours != "right"}
    # BFCL accepts no value at all for one of their arguments.
    assert wrong == {"live_simple_106-63-0": "ground_truth", "live_simple_112-68-0": "ground_truth"}


def test_every_disagreement_on_mutated_answers_is_explained(parity: ModuleType) -> None:
    judge = parity.Judge()
    cases = list(parity.mutated_cases(judge, 0, every=97))
    assert len(cases) > 1000
    apart = [case for case in cases if not case.agrees]
    assert {(case.kind, case.answer) for case in apart if parity.class_of(case, judge) is None} == set()
    # The comparison has something to say: both verdicts, both ways to disagree.
    assert {(case.theirs == "right", case.ours == "right") for case in cases} == {
        (theirs, ours) for theirs in (True, False) for ours in (True, False)
    }


def test_what_bfcl_reads_as_calls_is_no_plain_text(parity: ModuleType) -> None:
    judge = parity.Judge()
    decoded = [
        case.answer
        for case in parity.mutated_cases(judge, 0, every=97)
        if case.theirs not in ("undecodable", "evaluates")
    ]
    assert len(decoded) > 500
    assert [answer for answer in decoded if read_answer(answer)[0] == []] == []


def test_an_answer_that_bfcl_would_evaluate_never_reaches_it(parity: ModuleType, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    judge, entry = parity.Judge(), next(parity.entries())
    for value in (f"1 + open('{marker}', 'w').write('x')", "1 + 1", "lambda: 1"):
        assert judge.case(entry, "test", f"[f(a={value})]").theirs == "evaluates"
        assert judge.case(entry, "test", f"f(a={value})").theirs == "evaluates"
    assert not marker.exists()


def test_the_document_is_the_benchmarks(parity: ModuleType) -> None:
    text = parity.DOCUMENT.read_text(encoding="utf-8")
    assert int(re.search(r"([\d,]+) answers of", text)[1].replace(",", "")) >= 20_000  # type: ignore[index]
    assert "Unexplained: 0." in " ".join(text.split())
    named = set(re.findall(r"^\| ([^|]+?) \| (?:BFCL|the reward)(?!,)", text, re.MULTILINE))
    assert named <= {one.name for one in parity.CLASSES}
    assert all(one.why in text for one in parity.CLASSES if one.name in named)
