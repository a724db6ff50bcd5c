"""`synth` over classes that misbehave: one clear sentence each, before anything is spent or for a call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.calls import Call
from funreason_train.environments.sandbox.configured import VARIABLE
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.guard import environment_of, guarded
from funreason_train.synth.work.workers import in_processes

SMALL = (
    *("trajectories=4", "heldout_tasks=0", "tuning_tasks=0", "turns=1", "processes=1"),
    *("graph.episodes=4", "graph.calls=12", "graph.measure=0", "kinds={plain: 1.0}"),
)

#: A class that works, of which each case breaks one thing.
GOOD = '''
import ctypes, os, random, time
from typing import Any
{before}
class Shelf:
    """Keeps things."""
    {fields}
    def __init__(self, things: dict = {{}}) -> None:
        {init}
        self.things = dict(things)

    @staticmethod
    def scenario(random: Any, size: int) -> dict:
        {scenario}
        return {{"things": {{f"T{{random.randint(100, 999)}}": "box" for _ in range(size)}}}}

    def list_things(self) -> list:
        return sorted(self.things)

    def drop_thing(self, key: str) -> dict:
        """Drops a thing."""
        del self.things[key]
        return {{"dropped": key}}

    {more}
'''


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a module with the class and one thing broken; returns its dotted path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def write(more: str = "", **broken: str) -> str:
        name = f"shelf_{abs(hash((tmp_path, len(made))))}"
        parts = {"before": "", "fields": "", "init": "", "scenario": "", "more": more, **broken}
        (tmp_path / f"{name}.py").write_text(GOOD.format(**parts))
        made.append(name)
        return f"{name}:Shelf"

    yield write
    for name in made:
        sys.modules.pop(name, None)


def synthesise(tmp_path: Path, path: str, *words: str) -> dict[str, Any]:
    settings: Any = OmegaConf.to_container(
        compose("synth", [*SMALL, f"environments=[{path}]", *words]).synth, resolve=True
    )
    return Phases(settings, 0, tmp_path / "out", partial(in_processes, processes=1)).run()


def test_a_sound_class_without_docstrings_is_used(tmp_path: Path, written: Any) -> None:
    assert synthesise(tmp_path, written())["conversations"] == 4
    assert "list things" in (tmp_path / "out" / "conversations.jsonl").read_text()


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ({"before": "1 / 0"}, r"cannot be imported .*ZeroDivisionError"),
        ({"before": "raise SystemExit(3)"}, r"cannot be imported .*SystemExit"),
        ({"before": "def broken(:"}, r"cannot be imported .*SyntaxError"),
        ({"before": "import nowhere_at_all"}, r"cannot be imported .*nowhere_at_all"),
        ({"init": "raise RuntimeError('no database')"}, r"could not be replayed .*no database"),
        ({"init": "raise SystemExit"}, r"could not be replayed .*SystemExit"),
        ({"scenario": "raise KeyError('things')"}, r"cannot draw a starting configuration .*things"),
        ({"scenario": "return 7"}, r"cannot draw a starting configuration"),
        ({"init": "self.handle = __import__('threading').Lock()"}, r"could not be replayed .*handle"),
        (
            {"init": "self.now = time.perf_counter_ns()"},
            r"two starts from the same configuration are not alike",
        ),
        ({"init": "self.odd = float('nan')"}, r"not a JSON value"),
        ({"more": "def snapshot(self): return time.perf_counter_ns()"}, r"another one each time it is read"),
        ({"more": "def snapshot(self): raise OSError('disk')"}, r"disk"),
        ({"more": "def snapshot(self): raise SystemExit"}, r"SystemExit"),
        ({"more": "def snapshot(self): raise KeyboardInterrupt"}, r"KeyboardInterrupt"),
        ({"more": "def snapshot(self): os._exit(0)"}, r"snapshot of .*Shelf ended its process"),
        ({"init": "os._exit(4)"}, r"reset of .*Shelf ended its process .*code 4"),
        ({"more": "def odd(self, value: complex): pass"}, r"odd cannot be a tool"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_made(
    tmp_path: Path, written: Any, broken: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as found:
        synthesise(tmp_path, written(**broken))
    assert "\n" not in found.value.what and not (tmp_path / "out" / "conversations.jsonl").exists()


@pytest.mark.parametrize(
    "tool",
    [
        "def boom(self) -> dict: raise RuntimeError('boom')",
        "def leave(self) -> dict: raise SystemExit(1)",
        "def interrupt(self) -> dict: raise KeyboardInterrupt",
        "def greedy(self) -> dict: raise MemoryError",
        "def kill(self) -> dict: os._exit(3)",
        "def segfault(self) -> dict: ctypes.string_at(0)",
        "def endless(self) -> dict: return {'x': float('nan')}",
        "def infinite(self) -> dict: return {'x': float('inf')}",
        "def odd(self) -> object: return object",
        "def gen(self) -> object: return iter(range(3))",
        "def yields(self) -> object:\n        while True: yield 1",
        "def deep(self) -> dict: return self.deep()",
        "def huge(self) -> str: return 'x' * 10_000_000",
        "def surrogate(self) -> str: return chr(0xd800)",
        "def clock(self) -> int: return time.perf_counter_ns()",
    ],
)
def test_a_tool_that_misbehaves_costs_nothing_but_itself(tmp_path: Path, written: Any, tool: str) -> None:
    made = synthesise(tmp_path, written(tool))
    assert made["conversations"] == 4
    text = (tmp_path / "out" / "conversations.jsonl").read_text(encoding="utf-8")
    assert len(text) < 200_000
    for line in text.splitlines():
        row = json.loads(line)
        calls = [call for turn in row["synth"]["task"]["turns"] for step in turn["steps"] for call in step]
        name = tool.partition("def ")[2].partition("(")[0]
        assert name not in {call["name"] for call in calls}


def test_a_tool_that_hangs_is_left_alone_after_one_call(
    tmp_path: Path, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, '{"own_seconds": 0.3}')
    made = synthesise(tmp_path, written("def hang(self) -> dict:\n        while True: pass"))
    assert made["conversations"] == 4
    funnel = json.loads((tmp_path / "out" / "funnel.json").read_text())
    assert any("hang" in tools for tools in funnel["left_out"].values())


def test_a_class_that_ends_its_process_is_told_by_what_it_did(tmp_path: Path, written: Any) -> None:
    module = written("def kill(self) -> dict: os._exit(3)").partition(":")[0]
    made = synthesise(tmp_path, f"{module}:Shelf")
    assert made["conversations"] == 4
    (left_out,) = json.loads((tmp_path / "out" / "funnel.json").read_text())["left_out"].values()
    assert "ends the process" in left_out["kill"]


def test_a_class_of_which_no_tool_can_be_used_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    name = f"fatal_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text("import os\nclass Fatal:\n  def go(self): os._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=rf"no tool of {name}:Fatal can be used \(go: .*ends the process"):
        synthesise(tmp_path, f"{name}:Fatal")


def test_a_tool_whose_answer_holds_a_measured_time_is_left_out_with_the_field(
    tmp_path: Path, written: Any
) -> None:
    stamp = "def stamp(self) -> dict: return {'mark': 1, 'took': time.perf_counter_ns()}"
    assert synthesise(tmp_path, written(stamp))["conversations"] == 4
    (left_out,) = json.loads((tmp_path / "out" / "funnel.json").read_text())["left_out"].values()
    assert left_out["stamp"] == "its answer to the same call is another one each time (in took)"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_class_that_ends_the_process_of_samples_is_named_with_its_tool(
    tmp_path: Path, written: Any, processes: int
) -> None:
    late = "os.kill(os.getpid(), 9) if __import__('multiprocessing').parent_process() else 1"
    path = written(f"def weigh(self) -> object: return {late}")
    config = compose("synth", [*SMALL, f"environments=[{path}]", "trajectories=40", f"out={tmp_path}/made"])
    config.synth.processes = processes
    with pytest.raises(UserError, match=rf"weigh of {path} ended a process .* of 40 train conversations are"):
        stage.run(config, run_of(config, tmp_path / "run"))
    assert list((tmp_path / "made").glob(".samples-*")), "what is finished is kept"


def test_threads_that_a_class_leaves_behind_do_not_hold_up_the_end(tmp_path: Path, written: Any) -> None:
    wait = "__import__('threading').Thread(target=time.sleep, args=(3600,)).start()"
    path = written(f"def begin(self) -> dict: {wait}; return {{'begun': True}}")
    config = compose("synth", [*SMALL, f"environments=[{path}]", f"out={tmp_path}/made"])
    config.synth.processes = 2
    assert stage.run(config, run_of(config, tmp_path / "run"))["conversations"] == 4


def test_a_class_that_forks_does_not_do_the_rest_twice(tmp_path: Path, written: Any) -> None:
    path = written("def fork(self) -> bool: return os.fork() == 0")
    program = (
        "from funreason_train.calls import Call\n"
        "from funreason_train.synth.work.guard import environment_of\n"
        f"for apart in (False, True):\n    world = environment_of({path!r}, apart)()\n    world.reset({{}})\n"
        "    print([world.call(Call(name, {})).value for name in ('fork', 'list_things')], flush=True)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.splitlines() == ["[False, []]"] * 2, found.stderr


def test_a_look_up_that_finds_nothing_is_a_failed_call(written: Any) -> None:
    tools = "def find_things(self, text: str) -> list: return [k for k in self.things if text in k]"
    world = environment_of(written(tools))()
    world.reset({"things": {"T1": "box"}})
    assert world.call(Call("find_things", {"text": "T"})).ok
    assert not world.call(Call("find_things", {"text": "green lantern"})).ok
    world.reset({"things": {}})
    assert world.call(Call("list_things", {})).ok, "nothing was asked for that is not there"


def test_an_interrupt_of_the_users_own_ends_the_work_and_a_classs_own_does_not(written: Any) -> None:
    tools = (
        "def interrupt(self) -> dict: raise KeyboardInterrupt\n\n"
        "    def ask_to_stop(self) -> dict: os.kill(os.getpid(), 2); time.sleep(60)"
    )
    world = environment_of(written(tools))()
    world.reset({})
    told = world.call(Call("interrupt", {}))
    assert not told.ok and "interrupt failed (KeyboardInterrupt" in told.text and world.fault is None
    # A command that was started in the background may have been told to ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            world.call(Call("ask_to_stop", {}))
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_environment_that_a_module_registers_is_guarded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"twice_{abs(hash(str(tmp_path)))}"
    parts = {
        **{"name": name, "init": "pass", "reset": "pass", "tools": f"return [{DOCUMENT}]"},
        **{"call": "raise RuntimeError('down')", "snapshot": "return {}"},
    }
    (tmp_path / f"{name}.py").write_text(
        OWN.format(**parts) + "\nENVIRONMENT = register_environment(Twice)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=rf"no call of the environment {name} ever succeeded .*down"):
        synthesise(tmp_path, name, f"modules=[{name}]")


def test_what_is_unfinished_is_not_gone_on_with_once_the_class_has_changed(
    tmp_path: Path, written: Any
) -> None:
    path = written()
    settings: Any = OmegaConf.to_container(
        compose("synth", [*SMALL, f"environments=[{path}]"]).synth, resolve=True
    )
    before = Phases(settings, 0, tmp_path, partial(in_processes, processes=1)).key
    assert Phases(settings, 0, tmp_path, partial(in_processes, processes=1)).key == before
    file = tmp_path / f"{path.partition(':')[0]}.py"
    file.write_text(file.read_text().replace('"box"', '"bag"'))
    assert Phases(settings, 0, tmp_path, partial(in_processes, processes=1)).key != before


def test_what_a_guarded_class_answers_is_always_a_result(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, '{"own_seconds": 0.2}')
    tools = "def wait(self) -> dict:\n        time.sleep(60)\n\n    def ok(self) -> int: return 1"
    world = environment_of(written(tools))()
    world.reset({})
    assert world.call(Call("ok", {})).ok and world.fault is None
    assert not world.call(Call("nowhere", {})).ok
    late = world.call(Call("wait", {}))
    assert not late.ok and "did not answer within" in late.text and "wait" in str(world.fault)
    world.reset({})
    assert world.fault is None and world.call(Call("ok", {})).ok


OWN = """
from funreason_train.environments import Environment, Result, register_environment
class Twice(Environment):
    name = "{name}"
    def __init__(self): {init}
    def reset(self, config): {reset}
    def tools(self): {tools}
    def call(self, call): {call}
    def snapshot(self): {snapshot}
    @classmethod
    def scenario(cls, random, size=4): return {{}}
"""
DOCUMENT = '{"name": "go", "description": "Go.", "parameters": {"type": "object", "properties": {}}}'


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ({"init": "raise OSError('no port')"}, r"cannot be made .*no port"),
        ({"reset": "raise KeyError('x')"}, r"could not be replayed .*KeyError"),
        ({"tools": f"return [{DOCUMENT}, {DOCUMENT}]"}, r"two tools named go"),
        ({"tools": "return []"}, r"offers no tool"),
        ({"tools": "return [{'name': 'go'}]"}, r"document of .* tool go is incomplete"),
        ({"tools": "return [{'name': 'go now'}]"}, r"go now, which no call can be written with"),
        ({"tools": "raise ValueError('later')"}, r"cannot tell its tools .*later"),
        ({"snapshot": "return {1, 2}"}, r"not a JSON value"),
        ({"snapshot": "return object()"}, r"could not be replayed .*an? object"),
        ({"call": "return 'done'"}, r"no call of .* succeeded .*not with a Result"),
        ({"call": "raise RuntimeError('down')"}, r"no call of .* succeeded .*down"),
    ],
)
def test_an_environment_that_breaks_the_protocol_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: dict[str, str], sentence: str
) -> None:
    name = f"twice_{abs(hash((str(tmp_path), sentence)))}"
    parts = {
        **{"name": name, "init": "pass", "reset": "pass", "tools": f"return [{DOCUMENT}]"},
        **{"call": "return Result('{}', True, {})", "snapshot": "return {}", **broken},
    }
    (tmp_path / f"{name}.py").write_text(OWN.format(**parts))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=sentence):
        synthesise(tmp_path, f"{name}:Twice")


def test_the_command_tells_it_in_one_sentence(tmp_path: Path, written: Any, capsys: Any) -> None:
    config = compose("synth", [*SMALL, f"environments=[{written(before='1 / 0')}]", f"out={tmp_path / 'o'}"])
    problems = stage.check(config, run_of(config, tmp_path / "run"))
    assert len(problems) == 1 and "ZeroDivisionError" in str(problems[0])


def test_targets_that_nothing_reaches_are_told_and_refused_if_there_are_no_others(
    tmp_path: Path, written: Any, capsys: Any
) -> None:
    path = written("def never(self) -> dict: raise RuntimeError('locked for ever')")
    (tmp_path / "t.txt").write_text("never\n")
    with pytest.raises(UserError, match=r"no target was ever reached .*never of"):
        synthesise(tmp_path, path, f"targets={tmp_path}/t.txt")
    (tmp_path / "t.txt").write_text("never\nlist_things\n")
    assert synthesise(tmp_path / "two", path, f"targets={tmp_path}/t.txt")["conversations"] == 4
    assert "no call of them ever succeeded: never" in capsys.readouterr().out


def test_a_guard_draws_the_same_scenario() -> None:
    from funreason_train.environments.domains.shop import Shop

    assert guarded(Shop).scenario(Random(3), 4) == Shop.scenario(Random(3), 4)
    assert guarded(Shop)().tools() == Shop().tools()
