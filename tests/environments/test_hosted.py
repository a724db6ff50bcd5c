"""One's own environment may hang anywhere: its conversation ends within the limit, with one sentence."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments import (
    Episode,
    Limits,
    Task,
    TaskTurn,
    load_environments,
    make_environment,
    play_gold,
    played_environment,
)
from funreason_train.environments.hosted import HOSTS, HostedEnvironment
from funreason_train.environments.sandbox.configured import VARIABLE, call_limits, set_call_limits
from funreason_train.errors import UserError
from funreason_train.settings import load_settings

MODULE = '''
import os, threading, time
from typing import Any
from funreason_train.environments import TableWorld, register_environment, tool

SEEN = []

class Clock(TableWorld):
    """Hangs where its configuration says."""
    tables = ("bells",)

    def _maybe(self, place):
        if place in self.state.get("bells", {}).get("B1", {}).get("hangs", []):
            while True:  # busy, and never back in a call of the system's
                pass

    @tool
    def ring(self, bell: str, times: int = 1) -> Any:
        """Ring a bell."""
        self._maybe("call")
        one = self.record("bells", bell)
        one["rung"] = one.get("rung", 0) + times
        SEEN.append(bell)
        return {"rung": one["rung"], "seen": len(SEEN), "process": os.getpid()}

    @tool
    def stop(self) -> Any:
        """End the process."""
        os._exit(3)

    @tool
    def variable(self) -> Any:
        """What a variable holds."""
        return {"value": os.environ.get("CLOCK_KEY")}

    def reset(self, config):
        super().reset(config)
        self._maybe("reset")

    def snapshot(self):
        self._maybe("snapshot")
        return super().snapshot()

@register_environment
class Tower(Clock):
    name = "tower"

@register_environment
class Comparing(Clock):
    name = "comparing"
    def compare(self, other):
        self._maybe("compare")
        return ["it is never right"]

@register_environment
class Making(Clock):
    name = "making"
    def __init__(self):
        time.sleep(3600)

@register_environment
class Leaving(Clock):
    name = "leaving"
    def close(self):
        time.sleep(3600)

class Plain:
    """Any class."""
    def __init__(self, at: int = 0):
        self.at = at
    def wait(self, seconds: float) -> int:
        """Wait."""
        time.sleep(seconds)
        self.at += 1
        return self.at
'''


@pytest.fixture(autouse=True)
def clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module above, with two seconds for each step."""
    if "clocks_that_hang" not in sys.modules:
        (tmp_path / "clocks_that_hang.py").write_text(MODULE)
        monkeypatch.syspath_prepend(str(tmp_path))
    else:
        monkeypatch.syspath_prepend(str(Path(sys.modules["clocks_that_hang"].__file__ or "").parent))
    monkeypatch.setenv(VARIABLE, json.dumps({"own_seconds": 2.0}))
    load_environments(["clocks_that_hang", "clocks_that_hang:Plain"])
    yield
    HOSTS.close()


def _config(*hangs: str) -> dict[str, Any]:
    return {"bells": {"B1": {"rung": 0, "hangs": list(hangs)}}}


def _task(*hangs: str, environment: str = "tower") -> Task:
    call = Call("ring", {"bell": "B1"})
    turn = TaskTurn("Ring the bell.", ((call,),), "It rang.")
    return Task("t", "own", environment, _config(*hangs), ("ring", "stop"), (turn,))


def test_a_call_that_hangs_is_ended_and_says_so() -> None:
    environment = played_environment("tower")
    environment.reset(_config("call"))
    done = environment.call(Call("ring", {"bell": "B1"}))
    assert not done.ok
    assert done.text == "Error: ring of tower gave no answer within 2 s (call_limits.own_seconds)"
    assert environment.fault == done.text.removeprefix("Error: ")
    again = environment.call(Call("ring", {"bell": "B1"}))
    assert again.text == done.text
    with pytest.raises(ValueError, match="gave no answer within 2 s"):
        environment.snapshot()
    environment.close()
    environment.close()


def test_a_module_that_cannot_be_imported_there_is_named_to_those_who_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "belfry_of_yesterday.py"
    module.write_text(
        "from funreason_train.environments import TableWorld, register_environment\n"
        "@register_environment\nclass Belfry(TableWorld):\n    name = 'belfry'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    load_environments(["belfry_of_yesterday"])
    module.unlink()
    played_environment("tower").close()
    with pytest.raises(UserError, match="the environment belfry cannot be made") as caught:
        played_environment("belfry")
    told = "the module belfry_of_yesterday of environment_modules cannot be imported (No module named"
    assert told in str(caught.value)


def test_others_go_on_and_see_nothing_of_each_other() -> None:
    one, other = played_environment("tower"), played_environment("tower")
    for environment in (one, other):
        environment.reset(_config())
    for times in (1, 2, 3):
        answer = one.call(Call("ring", {"bell": "B1"}))
        assert (answer.value["rung"], answer.value["seen"]) == (times, times)
    hangs = played_environment("tower")
    hangs.reset(_config("call"))
    assert not hangs.call(Call("ring", {"bell": "B1"})).ok
    assert other.call(Call("ring", {"bell": "B1"})).value["rung"] == 1
    assert other.compare(one.snapshot()) and not one.compare(one.snapshot())
    for environment in (one, other, hangs):
        environment.close()


def test_the_gold_is_rejected_with_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from funreason_train.data.read.formats import tasks
    from funreason_train.data.read.rows import RowError

    for place, reason, told in (
        ("call", "unplayable", "ring of tower gave no answer within 2 s"),
        ("reset", "unplayable", "reset of tower gave no answer within 2 s"),
        ("snapshot", "unplayable", "snapshot of tower gave no answer within 2 s"),
    ):
        with pytest.raises(RowError, match=told) as caught:
            tasks.convert(_task(place).to_json(), {})
        assert caught.value.reason == reason
    with pytest.raises(RowError, match="make of making gave no answer within 2 s") as caught:
        tasks.convert(_task(environment="making").to_json(), {})
    assert caught.value.reason == "unplayable"
    assert tasks.convert(_task().to_json(), {}).turns


def test_an_episode_ends_with_the_reason() -> None:
    calls = '</think>\n\n[ring(bell="B1")]'
    task = _task()
    episode = Episode(task, Limits())
    episode._environment.reset(_config("call"))
    episode.receive(calls)
    assert episode.done
    [reason] = episode.outcome().reasons
    assert (
        reason
        == "turn 0: environment_failed: ring of tower gave no answer within 2 s (call_limits.own_seconds)"
    )
    assert episode.turn_outcomes() == [{"state_equal": False, "results_seen": False}]

    ended = Episode(task, Limits())
    ended.receive("</think>\n\n[stop()]")
    assert "environment_failed: stop of tower ended its process (crash" in ended.outcome().reasons[0]

    right = Episode(task, Limits())
    right.receive(calls)
    right.receive("</think>\n\nIt rang.")
    # The numbers of processes differ from those of the gold play.
    assert "never obtained" in right.outcome().reasons[0]


def test_a_comparison_that_hangs() -> None:
    task = _task("compare", environment="comparing")
    environment = played_environment("comparing")
    environment.reset(task.config)
    assert environment.compare({}) == [
        "compare of comparing gave no answer within 2 s (call_limits.own_seconds)"
    ]
    calm = played_environment("comparing")
    calm.reset(_config())
    assert calm.compare({}) == ["it is never right"]
    calm.close()


def test_leaving_waits_for_nobody() -> None:
    began = time.monotonic()
    play_gold(_task(environment="leaving"))
    assert time.monotonic() - began < 3600  # it would sleep for an hour


def test_any_class_is_played_alike() -> None:
    environment = played_environment("clocks_that_hang:Plain")
    assert isinstance(environment, HostedEnvironment)
    environment.reset({"at": 4})
    assert environment.call(Call("wait", {"seconds": 0.0})).value == 5
    assert environment.snapshot() == {"at": 5}
    assert not environment.call(Call("wait", {"seconds": 60.0})).ok
    with pytest.raises(UserError, match="there is no environment"):
        played_environment("clocks_that_never_were")


def test_it_sees_the_variables_of_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_KEY", "set")
    HOSTS.close()
    environment = played_environment("tower")
    environment.reset(_config())
    assert environment.call(Call("variable", {})).value == {"value": "set"}
    environment.close()


def test_what_json_does_not_hold_is_an_answer() -> None:
    environment = played_environment("tower")
    environment.reset(_config())
    values: tuple[Any, ...] = (10**5000, float("nan"), [[]] * 3, "\ud800", {"a": object()})
    for value in values:
        assert not environment.call(Call("ring", {"bell": value})).ok
    assert environment.fault is None
    assert environment.call(Call("ring", {"bell": "B1"})).ok
    environment.close()


def test_without_a_limit_it_is_played_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    set_call_limits({**call_limits(), "own_seconds": None})
    environment = played_environment("tower")
    environment.reset(_config())
    assert type(environment) is type(make_environment("tower"))
    assert environment.call(Call("ring", {"bell": "B1"})).value["process"] == os.getpid()
    assert not isinstance(played_environment("shop"), HostedEnvironment)


def test_the_limit_is_a_setting() -> None:
    assert load_settings("data", ["call_limits.own_seconds=null"]).call_limits.own_seconds is None
    for wrong in ("0", "-1", "many", "true"):
        with pytest.raises(UserError, match=r"call_limits\.own_seconds"):
            load_settings("data", [f"call_limits.own_seconds={wrong}"])


def test_a_rollout_and_an_evaluation_end_with_the_reason() -> None:
    from rl.episode_script import completion, run

    stop = completion("[stop()]")
    played, asked = run(_task(), [stop])
    assert len(asked) == 1 and "environment_failed: stop of tower ended its process" in played.reasons[0]
    assert played.outcomes == [{"state_equal": False, "results_seen": False}]
