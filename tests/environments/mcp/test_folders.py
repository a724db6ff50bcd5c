"""What stands in a session's folder, as a state."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from funreason_train.environments.mcp.folders import (
    folder_state,
    known_paths,
    make_folder,
    remove_leftovers,
)
from funreason_train.environments.mcp.renaming import timeless
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph


def test_texts_are_shown_and_other_files_by_a_digest(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "in" / "a.txt").write_text("é")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe")
    before = folder_state(tmp_path)
    assert before["in/a.txt"] == "é" and before["empty/"] == {} and before["b.bin"].startswith("2 bytes")
    os.utime(tmp_path / "b.bin", (1, 1))
    assert folder_state(tmp_path) == before, "times do not count"
    (tmp_path / "b.bin").write_bytes(b"\xff\xff")
    assert folder_state(tmp_path) != before


def test_a_database_is_what_stands_in_its_tables(tmp_path: Path) -> None:
    states = []
    for name, rows in (("one", (1, 2)), ("two", (2, 1))):
        folder = tmp_path / name
        folder.mkdir()
        with sqlite3.connect(folder / "shop.db") as database:
            database.execute("CREATE TABLE t (n)")
            for row in rows:
                database.execute("INSERT INTO t VALUES (?)", (row,))
        database.close()
        states.append(folder_state(folder))
    assert states[0] == states[1], "the order of writing does not count"
    with sqlite3.connect(tmp_path / "two" / "shop.db") as database:
        database.execute("DELETE FROM t WHERE n = 1")
    database.close()
    assert folder_state(tmp_path / "two") != states[0]


def test_a_file_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\x00 and then nothing")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and then nothing")
    (tmp_path / "index").write_bytes(b"DIRC\x00\x00\x00\x02\xff\xff\xff\xff and then nothing")
    assert folder_state(tmp_path).keys() == {"gone", "broken.db", "broken.zip", "index"}


def test_the_time_of_writing_is_no_state_and_other_times_are() -> None:
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC)
    ago = shown - timedelta(days=9)
    for one in (shown.isoformat(), f"{shown:%Y-%m-%d %H:%M:%S}Z", f"{int(now)}", f"{int(now * 1000)}"):
        assert timeless({"log": [f"added {one} milk"]}) == {"log": ["added (now) milk"]}
    assert timeless({"at": now, "ms": int(now * 1e3)}) == {"at": "(now)", "ms": "(now)"}
    kept = [ago.isoformat(), int(ago.timestamp()), f"{shown:%Y-%m-%d}", 1.5, True, None, "2026-99-99T10:00"]
    assert timeless(kept) == kept


def test_names_and_texts_hold_nothing_of_the_session(tmp_path: Path) -> None:
    states, now = [], datetime.now(UTC)
    for copies in (1, 2):  # of each second in which something was written there is one
        folder = make_folder("notes")
        for number in range(copies):
            stamp = f"{now + timedelta(seconds=number):%Y%m%d_%H%M%S}"
            (folder / f"{folder.name}.{stamp}.bak").write_text(f"copy {number}")
        for number in (1, 2):
            stamp = f"{now + timedelta(seconds=copies):%Y%m%dT%H%M%S}{copies}0{number}"
            (folder / f"{stamp}.md").write_text(f"note {number}")
        (folder / "board.md").write_text(f"# {folder.name} Board")
        (folder / "long.md").write_text(f"in {folder}\n" * 2000)
        states.append(folder_state(folder))
        shutil.rmtree(folder)
    assert states[0] == states[1] and states[0]["board.md"] == "# session Board"
    assert states[0].keys() == {"session.(now).bak", "(now).md", "(now).md'", "board.md", "long.md"}
    assert (states[0]["(now).md"], states[0]["(now).md'"]) == ("note 1", "note 2")


def test_an_office_document_is_its_parts_and_not_when_it_was_saved(tmp_path: Path) -> None:
    def saved(folder: str, minute: int, cells: str) -> object:
        (tmp_path / folder).mkdir()
        with zipfile.ZipFile(tmp_path / folder / "book.xlsx", "w") as book:
            when = (2026, 1, 5, 10, minute, 0)
            told = f"<dcterms:modified xsi:type='x'>2026-01-05T10:{minute}:00Z</dcterms:modified>"
            book.writestr(zipfile.ZipInfo("docProps/core.xml", when), told)
            book.writestr(zipfile.ZipInfo("xl/worksheets/sheet1.xml", when), cells)
        return folder_state(tmp_path / folder)

    assert saved("one", 10, "<c>1</c>") == saved("two", 20, "<c>1</c>") != saved("three", 20, "<c>2</c>")


def test_what_git_has_staged_is_the_state_and_not_when_it_looked(tmp_path: Path) -> None:
    def staged(folder: str, text: str) -> object:
        (tmp_path / folder / "in").mkdir(parents=True)
        (tmp_path / folder / "in" / "a.txt").write_text(text)
        (tmp_path / folder / "b.txt").write_text("b")
        for words in (("init", "-q"), ("add", "in/a.txt", "b.txt")):
            subprocess.run(["git", *words], cwd=tmp_path / folder, check=True)
        return folder_state(tmp_path / folder)[".git/index"]

    first = staged("one", "milk")
    assert [line.split()[-1] for line in first] == ["b.txt", "in/a.txt"]  # type: ignore[attr-defined]
    assert first == staged("two", "milk") != staged("three", "eggs")


def test_folders_of_killed_processes_are_removed_and_no_others() -> None:
    code = "from funreason_train.environments.mcp import folders; print(folders.make_folder('leftover-test'))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    left, mine = Path(made.stdout.strip()), make_folder("leftover-test")
    assert left.is_dir()
    remove_leftovers("leftover-test")
    assert not left.exists() and mine.is_dir()
    mine.rmdir()


def test_paths_are_known_to_the_user(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "sunday.txt").write_text("walk")
    (tmp_path / "plans" / ".git").mkdir()
    (tmp_path / "plans" / ".git" / "HEAD").write_text("ref: refs/heads/main")
    (tmp_path / "notes.txt").write_text("milk")
    known = known_paths(tmp_path, ["plans", "notes.txt"])
    text = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    graph = Graph("x", [{"name": "read_file", "description": "Reads a file.", "parameters": text}])
    drawn = {Drawer(graph, {"known": known}).arguments("read_file", Random(n))[0]["path"] for n in range(60)}
    assert {"/session/plans/sunday.txt", "/session/notes.txt", "/session/plans", "/session"} <= drawn
    assert not any(".git" in path for path in drawn), "what is hidden is not spoken of"


def test_a_change_in_any_of_many_files_is_another_state(tmp_path: Path) -> None:
    for number in range(520):
        (tmp_path / f"{number:03}.txt").write_text("a")
    before = folder_state(tmp_path)
    (tmp_path / "519.txt").write_text("b")
    after = folder_state(tmp_path)
    assert before != after and before.keys() == after.keys()
