"""What the card says of wording shared with BFCL."""

from __future__ import annotations

import json

import pytest

from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.synth.work.overlap import overlapping


def test_a_question_of_bfcl_is_seen_and_other_words_are_not() -> None:
    folder = bfcl_folder()
    if folder is None:
        pytest.skip("bfcl-eval is not installed")
    (path,) = folder.glob("BFCL_*_multi_turn_base.json")
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    question = first["question"][0][0]["content"]
    assert overlapping([f"Good morning. {question}", "Please reserve the narrow car for Vera tomorrow."]) == 1
