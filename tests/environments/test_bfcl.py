"""BFCL's classes as environments: answers and states as BFCL's, one state an environment, limits a call."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments import make_environment
from funreason_train.environments.bfcl import documents
from funreason_train.environments.bfcl.documents import CLASSES, bfcl_folder
from funreason_train.environments.bfcl.environment import environment_kind
from funreason_train.environments.bfcl.sessions import SESSIONS, make_sessions
from funreason_train.environments.protocol import SHOWN
from funreason_train.environments.sandbox.limits import CallLimits
from funreason_train.errors import UserError

ROOT = Path(__file__).parents[2]
shipped = pytest.mark.skipif(bfcl_folder() is None, reason="bfcl-eval is not installed")

FILES = {"plan.txt": {"type": "file", "content": "4 8 15"}, "old": {"type": "directory", "contents": {}}}
CONFIG = {"GorillaFileSystem": {"root": {"desk": {"type": "directory", "contents": FILES}}}}


def files(sessions: Any = None) -> Any:
    """A small file system."""
    environment = kind("bfcl/GorillaFileSystem", sessions)
    environment.reset(CONFIG)
    return environment


def kind(name: Any, sessions: Any) -> Any:
    if sessions is None:
        return make_environment(name)
    base = environment_kind(name)
    return type("Limited", (base,), {"sessions": sessions})()


def listing(environment: Any) -> Any:
    return environment.call(Call("ls", {})).text


@shipped
def test_every_documented_function_is_offered_in_the_schema_of_all_tools() -> None:
    names = [tool["name"] for one in CLASSES for tool in make_environment(f"bfcl/{one}").tools()]
    assert len(set(names)) == len(names) == 128

    def types(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from [value["type"]] if isinstance(value.get("type"), str) else []
            value = list(value.values())
        for one in value if isinstance(value, list) else ():
            yield from types(one)

    tools = make_environment(f"bfcl/{'+'.join(CLASSES)}").tools()
    assert len(tools) == 128 and all(set(tool) == {*SHOWN, "returns"} for tool in tools)
    assert set(types(tools)) == {"object", "string", "number", "integer", "array", "boolean"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bfcl/WebSearchAPI", "BFCL has no class 'WebSearchAPI'"),
        ("bfcl/os", "BFCL has no class 'os'"),
        ("bfcl/", "BFCL has no class ''"),
        ("bfcl/MathAPI+MathAPI", "names a class twice"),
    ],
)
def test_a_class_that_cannot_be_played_is_the_users_mistake(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_environment(name)


def test_without_bfcl_eval_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "bfcl_folder", lambda: None)
    documents.class_documents.cache_clear()
    environment_kind.cache_clear()
    with pytest.raises(UserError, match=r"bfcl/TwitterAPI needs bfcl-eval.*extra cpu or gpu"):
        make_environment("bfcl/TwitterAPI")


@shipped
def test_answers_are_bfcls_and_the_state_is_what_bfcl_compares() -> None:
    environment = files()
    before = environment.snapshot()
    assert listing(environment) == '{"current_directory_content": ["plan.txt", "old"]}'
    assert environment.call(Call("cd", {"folder": "old"})).text == '{"current_working_directory": "old"}'
    assert environment.compare(before) == [], "BFCL does not compare where one is"
    assert environment.call(Call("touch", {"file_name": "new"})).text == "None"
    (difference,) = environment.compare(before)
    assert difference.startswith("GorillaFileSystem/root/contents/old/contents/new is ")
    assert environment.call(Call("cat", {"name": "x"})).text.startswith("Error during execution: ")
    with pytest.raises(ValueError, match="has no class MathAPI"):
        environment.reset({"MathAPI": {}})
    environment.reset({"GorillaFileSystem": {"root": {"desk": {"type": "directory"}}}})
    with pytest.raises(ValueError, match=r"cannot be loaded \(KeyError: 'contents'\)"):
        environment.snapshot()
    assert "cannot be loaded (KeyError" in listing(environment) and environment.compare(before)


@shipped
def test_several_classes_at_once() -> None:
    environment = make_environment("bfcl/GorillaFileSystem+MathAPI+TradingBot")
    environment.reset(CONFIG)
    assert environment.call(Call("sum_values", {"numbers": [4, 8, 15]})).text == '{"result": 27}'
    assert "plan.txt" in listing(environment)
    state = environment.snapshot()
    assert list(state) == ["GorillaFileSystem", "MathAPI", "TradingBot"]
    assert state["TradingBot"]["orders"]["12345"]["symbol"] == "AAPL"


@shipped
def test_interleaved_episodes_do_not_see_each_other() -> None:
    one, two = files(), files()
    config = {"GorillaFileSystem": {"root": {"other": {"type": "directory", "contents": {}}}}}
    three = make_environment("bfcl/GorillaFileSystem")
    three.reset(config)
    for number, environment in enumerate((one, two, three)):
        environment.call(Call("touch", {"file_name": f"mine{number}"}))
        environment.call(Call("square_root", {"number": 2, "precision": 3}))
    assert [listing(one), listing(two), listing(three)] == [
        '{"current_directory_content": ["plan.txt", "old", "mine0"]}',
        '{"current_directory_content": ["plan.txt", "old", "mine1"]}',
        '{"current_directory_content": ["mine2"]}',
    ]
    one.reset(CONFIG)
    assert "mine0" not in listing(one)


@shipped
def test_what_is_random_is_the_same_in_every_process() -> None:
    login = Call(
        "authenticate_travel",
        {
            **{"client_id": "c", "client_secret": "s", "refresh_token": "r", "grant_type": "read_write"},
            **{"user_first_name": "A", "user_last_name": "B"},
        },
    )
    answers = set()
    for sessions in (make_sessions(), make_sessions()):
        environment = kind("bfcl/TravelAPI", sessions)
        answers.add(environment.call(login))
    (answer,) = answers
    assert answer.ok, answer
    other = make_environment("bfcl/TravelAPI")
    other.reset({"TravelAPI": {"random_seed": 7}})
    assert other.call(login) != answer


HOSTILE = {
    "private": Call("_load_scenario", {"scenario": {}}),
    "dunder": Call("__class__", {}),
    "attribute": Call("root", {}),
    "dotted": Call("GorillaFileSystem.rm", {"file_name": "plan.txt"}),
    "dotted dunder": Call("ls.__globals__", {}),
    "builtin": Call("open", {"file": "/tmp/x", "mode": "w"}),
    "no function of this class": Call("power", {"base": 10, "exponent": 100_000_000}),
    "unknown argument": Call("ls", {"self": 1}),
    "wrong types": Call("mkdir", {"dir_name": {"a": [1, None]}}),
    "path": Call("cat", {"file_name": "../../etc/passwd"}),
    "huge": Call("cat", {"file_name": "x" * 1_000_000}),
    "huge number": Call("cat", {"file_name": 10**4000}),
}


@shipped
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_call_fails_and_changes_nothing(name: Any) -> None:
    environment = files()
    before = environment.snapshot()
    assert not environment.call(HOSTILE[name]).ok
    assert environment.compare(before) == []


NAMES = [
    *("nothing", "cd.x", "x.cd", "a.b.c", "GorillaFileSystem.rm", "ls.__globals__", "_load_scenario"),
    *("rm.ls", "kill", "exit", "quit", "remove", "unlink", "popen", "Popen", "run"),
    *("os.remove", "a.kill", "a.b.kill", "kill.a", "run.ls", "größe", "名前.run", "ls.run", "cd.cd"),
]


@shipped
def test_names_that_cannot_be_called_are_answered_in_bfcls_own_words(tmp_path: Path) -> None:
    """Of this environment, as in training, and of the executor, as in evaluation."""
    code = (
        "import json, sys\n"
        "from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils as own\n"
        "from funreason_train.environments.bfcl import execute\n"
        "config, names = json.loads(sys.argv[1])\n"
        "calls = [name + '()' for name in names]\n"
        "one, _ = own.execute_multi_turn_func_call(calls, config, list(config), 'm', 'multi_turn_base_0')\n"
        "made = execute.make_instance('GorillaFileSystem', config['GorillaFileSystem'])\n"
        "methods = execute.public_methods(made)\n"
        "two = [execute.execute(lambda: execute.Executable(name), methods).text for name in names]\n"
        "print(json.dumps([one, two]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([CONFIG, NAMES])],
        capture_output=True,
        text=True,
        env={**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    theirs, evaluation = json.loads(done.stdout.splitlines()[-1])
    environment = files()
    training = [environment.call(Call(name, {})).text for name in NAMES]
    words = dict(zip(NAMES, theirs, strict=True))
    assert dict(zip(NAMES, training, strict=True)) == words
    assert dict(zip(NAMES, evaluation, strict=True)) == words
    assert words["run"] == "Error during execution: Function call run is not allowed."


@shipped
def test_a_call_that_takes_for_ever_is_stopped_alone() -> None:
    sessions = make_sessions(seconds=1.0)
    burning = kind("bfcl/GorillaFileSystem+MathAPI", sessions)
    burning.reset(CONFIG)
    burning.call(Call("touch", {"file_name": "kept"}))
    before = burning.snapshot()
    answers = []
    burn = Call("power", {"base": 10, "exponent": 100_000_000})
    thread = threading.Thread(target=lambda: answers.append(burning.call(burn)))
    thread.start()
    other = files(sessions)
    others = 0
    while thread.is_alive():
        assert "plan.txt" in listing(other)
        others += 1
        time.sleep(0.01)
    assert others > 3, "nothing else was played meanwhile"
    assert answers[0].text.startswith("Error during execution: time_limit")
    assert burning.compare(before) == [] and '"kept"' in listing(burning)


@shipped
def test_a_call_that_takes_all_memory_is_stopped_alone() -> None:
    environment = kind("bfcl/GorillaFileSystem+MathAPI", make_sessions(memory_mib=64, seconds=20.0))
    environment.reset(CONFIG)
    environment.call(Call("touch", {"file_name": "kept"}))
    greedy = Call("square_root", {"number": 2, "precision": 400_000_000})
    answer = environment.call(greedy).text
    assert answer.startswith("Error during execution: memory_limit"), answer
    assert '"kept"' in listing(environment)


@shipped
def test_more_environments_than_processes_keep_their_states() -> None:
    sessions = make_sessions(waiting=2)
    several = [files(sessions) for _ in range(5)]
    for round in range(2):
        for number, environment in enumerate(several):
            assert environment.call(Call("touch", {"file_name": f"{round}-{number}"})).text == "None"
    for number, environment in enumerate(several):
        assert f'"old", "0-{number}", "1-{number}"]' in listing(environment)
    assert len(children_of(sessions.host)) <= 3
    del several, environment
    gc.collect()
    for _ in range(100):
        if not children_of(sessions.host):
            break
        time.sleep(0.05)
    assert children_of(sessions.host) == []


@shipped
def test_an_environment_may_be_collected_at_any_moment() -> None:
    sessions = make_sessions()
    environment = files(sessions)
    listing(environment)
    with sessions._lock:  # as when a collection starts while a session is put back
        del environment
        gc.collect()
    assert "plan.txt" in listing(files(sessions))


@shipped
def test_a_host_that_was_killed_is_replaced_and_states_are_made_again() -> None:
    sessions = make_sessions()
    environment = files(sessions)
    environment.call(Call("touch", {"file_name": "kept"}))
    host = sessions.host
    players = children_of(host)
    # The host first: nobody is left to say why, and the request is repeated in a new one.
    for process in [host, *players]:
        os.kill(process, signal.SIGKILL)
    assert '"kept"' in listing(environment)
    assert sessions.host != host
    [player] = children_of(sessions.host)
    os.kill(player, signal.SIGKILL)
    assert listing(environment).startswith("Error during execution: crash")
    assert '"kept"' in listing(environment)
    assert '"kept"' not in listing(files(sessions))


@shipped
def test_a_fork_has_a_host_of_its_own_and_leaves_this_processs_alone() -> None:
    environment = files()
    environment.call(Call("touch", {"file_name": "kept"}))
    host = SESSIONS.host
    if (pid := os.fork()) == 0:
        code = 1
        try:
            fine = SESSIONS.host is None and '"kept"' in listing(environment) and SESSIONS.host != host
            environment.call(Call("rm", {"file_name": "kept"}))
            code = 0 if fine else 1
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert '"kept"' in listing(environment) and SESSIONS.host == host


def test_a_host_needs_the_standard_library_and_this_package_alone() -> None:
    """Any version of bfcl-eval can so live in an environment of its own."""
    code = (
        "import sys, funreason_train.environments.bfcl.world, funreason_train.evaluate.bfcl.entries, "
        "funreason_train.environments.sandbox.host\n"
        "known = {*sys.stdlib_module_names, 'funreason_train', '__main__'}\n"
        "print({name.partition('.')[0] for name in sys.modules} - known)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "set()\n", done.stdout + done.stderr


@shipped
def test_bfcls_ways_of_failing_are_known_as_such_and_values_travel() -> None:
    tickets = make_environment("bfcl/TicketAPI")
    answered = tickets.call(Call("get_user_tickets", {}))
    assert answered.value == [{"error": "User not authenticated. Please log in to view tickets."}]
    assert not answered.ok and answered.text == str(answered.value)
    assert not tickets.call(Call("get_ticket", {"ticket_id": 999})).ok
    raised = tickets.call(Call("get_ticket", {"number": 1}))
    assert not raised.ok and raised.text.startswith("Error during execution: ") and raised.value is None
    listed = files().call(Call("ls", {}))
    assert listed.ok and listed.value == {"current_directory_content": ["plan.txt", "old"]}
    made = files().call(Call("touch", {"file_name": "new"}))
    assert made.ok and made.text == "None" and made.value is None
    rows = make_environment("bfcl/GorillaFileSystem+MathAPI").call(Call("mean", {"numbers": [1, 2]}))
    assert rows.ok and rows.value == {"result": 1.5}


def children_of(process: Any) -> Any:
    import psutil

    return [child.pid for child in psutil.Process(process).children()]


@shipped
def test_limits_come_from_the_configuration_and_reach_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from funreason_train.environments.bfcl import sessions
    from funreason_train.environments.sandbox import configured
    from funreason_train.settings import load_settings
    from funreason_train.settings.compose import compose

    monkeypatch.setenv(configured.VARIABLE, "")
    standard = compose(None, []).call_limits
    try:
        words = ["call_limits.seconds=0.5", "call_limits.memory_mib=99"]
        sessions.limit_calls(compose(None, words).call_limits)
        assert SESSIONS.limits == CallLimits(0.5, 60, 99)
        burning = make_environment("bfcl/MathAPI")
        answer = burning.call(Call("power", {"base": 10, "exponent": 100_000_000}))
        assert answer.text.startswith("Error during execution: time_limit") and not answer.ok
        code = f"from {sessions.__name__} import SESSIONS; print(SESSIONS.limits.memory)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert done.stdout == "99\n"
        for wrong in ("0", "-1", "null", "many", "true"):
            with pytest.raises(UserError, match=r"call_limits\.seconds=.* must be a number above 0"):
                load_settings("data", [f"call_limits.seconds={wrong}"])
    finally:
        sessions.limit_calls(standard)
    assert SESSIONS.limits == CallLimits(5, 60, 512)
