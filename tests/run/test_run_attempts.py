"""Each go of a command at a run has a folder of its own, and `latest` leads to the newest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from funreason_train.run.attempts import Attempt, attempts
from funreason_train.run.paths import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.at(tmp_path / "run")


def test_an_attempt_that_had_nothing_to_do_leaves_nothing(run: RunDir) -> None:
    with Attempt(run, ["sft"]):
        pass
    assert not run.root.exists() and attempts(run) == []


def test_attempts_keep_their_logs_apart_and_latest_leads_to_the_newest(run: RunDir) -> None:
    for number in (1, 2):
        with Attempt(run, ["sft", "seed=3"]) as attempt:
            attempt.begin("seed: 3\n")
            attempt.stage_begins("sft").write_text(f"output {number}")
            attempt.stage_ends("sft", "done")
    assert os.readlink(run.logs / "latest") == "2"
    assert (run.latest_logs / "sft.log").read_text() == "output 2"
    assert (run.logs / "1" / "sft.log").read_text() == "output 1"
    assert (run.logs / "1" / "config.yaml").read_text() == "seed: 3\n"
    first = attempts(run)[0]
    assert first["command"] == ["sft", "seed=3"] and first["outcome"] == "done"
    assert first["stages"]["sft"]["state"] == "done" and first["stages"]["sft"]["log"] == "sft.log"
    assert first["started"] <= first["ended"]


def test_a_stage_that_runs_twice_in_an_attempt_has_two_logs(run: RunDir) -> None:
    with Attempt(run) as attempt:
        attempt.begin()
        attempt.stage_begins("rl").write_text("")
        assert attempt.stage_begins("rl").name == "rl.2.log"


class Saved(Exception):
    outcome = "stopped"


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted"), (Saved, "stopped")]
)
def test_how_an_attempt_ended_is_recorded(run: RunDir, error: type[BaseException], outcome: str) -> None:
    with pytest.raises(error), Attempt(run) as attempt:
        attempt.begin()
        raise error
    assert attempts(run)[0]["outcome"] == outcome


def test_the_next_attempt_records_that_the_one_before_was_killed(run: RunDir) -> None:
    killed = Attempt(run, ["sft"])
    killed.begin()
    log = killed.stage_begins("sft")
    log.write_text("get https://host/x?api_key=hunter22\n")
    assert attempts(run)[0]["outcome"] == "running"
    with Attempt(run, ["sft"]) as attempt:
        attempt.begin()
    first, second = attempts(run)
    assert first["outcome"] == "killed" and first["stages"]["sft"]["state"] == "killed"
    assert second["outcome"] == "done" and second["number"] == 2
    assert log.read_text() == "get https://host/x?api_key=[SECRET]\n"


def test_a_record_cut_in_half_is_left_out_and_kept(run: RunDir) -> None:
    with Attempt(run) as attempt:
        attempt.begin()
    broken = run.logs / "1" / "attempt.json"
    broken.write_text(broken.read_text()[:20])
    with Attempt(run) as attempt:
        attempt.begin()
    assert [one["number"] for one in attempts(run)] == [2]
    assert len(broken.read_text()) == 20


def test_notes_are_on_disk_at_once(run: RunDir) -> None:
    with Attempt(run) as attempt:
        attempt.begin()
        attempt.note(incident="incident.md")
        assert json.loads((attempt.folder / "attempt.json").read_text())["incident"] == "incident.md"


def test_old_logs_and_strangers_in_the_folder_do_no_harm(run: RunDir) -> None:
    run.logs.mkdir(parents=True)
    (run.logs / "sft.1.log").write_text("of an older version")
    (run.logs / "notes").mkdir()
    with Attempt(run) as attempt:
        attempt.begin()
    assert attempt.number == 1 and (run.logs / "sft.1.log").exists()


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b"[1]", b'{"outcome": "running", "stages": [1]}', b"[" * 100_000]
)
def test_a_damaged_record_does_not_keep_the_next_attempt_from_beginning(run: RunDir, damage: bytes) -> None:
    folder = run.logs / "1"
    folder.mkdir(parents=True)
    (folder / "attempt.json").write_bytes(damage)
    with Attempt(run, ["sft"]) as attempt:
        attempt.begin()
        assert attempt.number == 2
    assert (folder / "attempt.json").read_bytes() == damage
