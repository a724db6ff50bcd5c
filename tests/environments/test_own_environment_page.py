"""docs/environments.md: its example is run as it stands there, and its table says what is there."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from funreason_train.environments import ENVIRONMENTS
from funreason_train.environments.bfcl.documents import CLASSES, bfcl_folder, class_documents
from funreason_train.environments.domains import WORLDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")


def block(language: Any) -> Any:
    """The first block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def run(command: Any, folder: Any) -> Any:
    variables, words = [], shlex.split(command)
    while "=" in words[0]:
        variables.append(words.pop(0).split("=", 1))
    assert words[0] == "funreason-train"
    path = os.pathsep.join([dict(variables)["PYTHONPATH"], str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "funreason_train", *words[1:]],
        cwd=folder,
        env={**os.environ, **dict(variables), "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def prepare(tmp_path: Path) -> None:
    (tmp_path / "cinema.py").write_text(block("python"), encoding="utf-8")
    (tmp_path / "tasks.jsonl").write_text(block("json"), encoding="utf-8")


def test_the_example_is_about_thirty_lines_and_the_data_stage_plays_it(tmp_path: Path) -> None:
    prepare(tmp_path)
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len(lines) <= 34
    done = run(block("bash"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "cinema" / "ledger.json").read_text())["tasks"]
    assert (counts["read"], counts["kept"]) == (2, 2)
    rows = pq.read_table(tmp_path / "cinema" / "rl" / "env_train.parquet").to_pylist()
    assert len(rows) == 2
    shown = (tmp_path / "cinema" / "sft" / "train.json").read_text(encoding="utf-8")
    assert "buy_tickets" in shown and '"returns"' not in shown.replace('\\"', '"')


def test_without_the_key_the_command_says_what_is_missing(tmp_path: Path) -> None:
    prepare(tmp_path)
    command = f"{block('bash').strip()} tokenizer=off parity=off"  # which needs no framework
    done = run(command.replace("environment_modules=[cinema] ", ""), tmp_path)
    assert done.returncode == 2 and "2 rejected as unplayable" in done.stderr
    said = (tmp_path / "cinema" / "rejected.jsonl").read_text(encoding="utf-8")
    assert "there is no environment cinema" in said and "environment_modules" in said
    wrong = run(command.replace("[cinema]", "[cinoma]"), tmp_path)
    assert wrong.returncode == 2
    assert "the module cinoma of environment_modules cannot be imported" in wrong.stdout + wrong.stderr


def test_the_table_says_how_many_tools_there_are() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE))
    worlds: list[Any] = [ENVIRONMENTS[name] for name in WORLDS]
    assert told == {kind.name: str(len(kind.tools())) for kind in worlds}
    for kind in worlds:
        conditions = {name for tool in kind.tools() for name in tool.get("requires", ())}
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{kind.name}` "))
        assert conditions == set(re.findall(r"needs? `(\w+)`", row))
    if bfcl_folder() is not None:
        total = sum(len(class_documents(name)) for name in CLASSES)
        assert f"| `bfcl/CLASS` | {total} in all |" in PAGE
