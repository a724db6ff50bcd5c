"""Every world of ours: its documents, its scenarios, and what holds of each call after whatever calls."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from environments.driver import Driver

from funreason_train.calls import Call, is_tool_name
from funreason_train.environments import ENVIRONMENTS, make_environment
from funreason_train.environments.bfcl.documents import CLASSES, bfcl_folder, class_documents
from funreason_train.environments.domains import WORLDS as OURS

WORLDS: list[Any] = [ENVIRONMENTS[name] for name in OURS]
OLD = ("helpdesk", "shop", "travel")
KINDS = {kind.name: kind for kind in WORLDS}
NEW = [kind.name for kind in WORLDS if kind.name not in OLD]
NAMES = [kind.name for kind in WORLDS]
REQUIRING = [
    (kind.name, tool["name"], tool["requires"])
    for kind in WORLDS
    for tool in kind.tools()
    if "requires" in tool
]
SIZES = (1, 3, 60, 10_000)


def start(name: Any, seed: Any, size: int = 3) -> Any:
    """A driver in a seeded scenario."""
    rng = random.Random(f"{name}/{seed}")
    environment = make_environment(name)
    return Driver(environment, ENVIRONMENTS[name].scenario(rng, size), rng)


def types(schema: Any) -> Iterator[Any]:
    """Every type that a schema names, at any depth."""
    if isinstance(schema, dict):
        stated = schema.get("type")
        yield from stated if isinstance(stated, list) else [stated] if isinstance(stated, str) else []
        for value in schema.values():
            yield from types(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from types(value)


def test_there_are_eight_worlds_or_more_with_a_hundred_documented_functions_or_more() -> None:
    tools = [tool for kind in WORLDS for tool in kind.tools()]
    names = [tool["name"] for tool in tools]
    assert len(WORLDS) >= 8 and len(tools) >= 100
    assert len(set(names)) == len(names)
    for tool in tools:
        assert is_tool_name(tool["name"]) and tool["description"].endswith("."), tool["name"]
        assert tool["returns"]["properties"], tool["name"]
    found = {kind for tool in tools for kind in types(tool["parameters"])}
    assert found == {"string", "integer", "number", "boolean", "array", "object", "null"}
    parameters = [part for tool in tools for part in tool["parameters"]["properties"].values()]
    assert any("default" in part for part in parameters) and any("enum" in part for part in parameters)
    assert any("minimum" in part for part in parameters)


@pytest.mark.parametrize("name", NEW)
def test_every_parameter_of_the_new_worlds_is_described(name: Any) -> None:
    for tool in KINDS[name].tools():
        for parameter, schema in tool["parameters"]["properties"].items():
            assert schema.get("description", "").endswith("."), (tool["name"], parameter)


@pytest.mark.skipif(bfcl_folder() is None, reason="bfcl-eval is not installed")
def test_no_function_of_the_new_worlds_is_named_as_one_of_bfcls() -> None:
    ours = {tool["name"] for name in NEW for tool in KINDS[name].tools()}
    assert not ours & {one["name"] for kind in CLASSES for one in class_documents(kind)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_seeded_scenario_is_json_and_starts_its_world(name: Any, size: Any) -> None:
    kind = ENVIRONMENTS[name]
    config = kind.scenario(random.Random(7), size)
    assert json.loads(json.dumps(config)) == config
    assert config == kind.scenario(random.Random(7), size) != kind.scenario(random.Random(8), size)
    environment = make_environment(name)
    environment.reset(config)
    assert environment.compare(environment.snapshot()) == []
    assert all(environment.snapshot()[table] == config[table] for table in config)
    fresh = [key for ids in config["fresh"].values() for key in ids]
    assert len(set(fresh)) == len(fresh)


@pytest.mark.parametrize("name", NAMES)
def test_larger_scenarios_hold_more(name: Any) -> None:
    kind = ENVIRONMENTS[name]
    sizes = [len(json.dumps(kind.scenario(random.Random(1), size))) for size in (1, 3, 8)]
    assert all(less < more for less, more in pairwise(sizes))


@pytest.mark.parametrize("name", NAMES)
def test_every_tool_succeeds_in_some_state_and_fails_in_another(name: Any) -> None:
    names = {tool["name"] for tool in KINDS[name].tools()}
    fine: set[str] = set()
    failed: set[str] = set()
    for seed in range(60):
        driver = start(name, seed)
        for _ in range(500):
            left = sorted(names - fine)
            wanted = driver.rng.choice(left) if left and driver.rng.random() < 0.4 else None
            call, result = driver.play(wanted)
            (fine if result.ok else failed).add(call.name)
        if fine == names and failed >= {tool for tool in names if _can_fail(name, tool)}:
            break
    assert names - fine == set(), "never succeeded"
    assert {tool for tool in names if _can_fail(name, tool)} - failed == set(), "never failed"


def _can_fail(name: Any, tool: Any) -> Any:
    (document,) = [one for one in KINDS[name].tools() if one["name"] == tool]
    return bool(document["parameters"]["required"]) or "requires" in document


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", NAMES)
def test_random_play_never_raises_and_a_failed_call_changes_nothing(name: Any, seed: Any) -> None:
    driver = start(name, seed)
    other = make_environment(name)
    other.reset(driver.environment.snapshot())
    for _ in range(120):
        before = driver.environment.snapshot()
        kept = json.dumps(before)
        call, result = driver.play()
        assert json.loads(result.text) == result.value
        assert isinstance(result.value, dict) and ("error" in result.value) == (not result.ok)
        if not result.ok:
            assert driver.environment.compare(before) == [], call
        assert json.dumps(before) == kept, "a snapshot is not the state"
        assert other.call(call) == result, "the same calls are answered in the same way"
        assert driver.environment.compare(other.snapshot()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_starts_another_world_in_the_same_state(name: Any) -> None:
    driver = start(name, 11)
    for _ in range(80):
        driver.play()
    again = make_environment(name)
    again.reset(json.loads(json.dumps(driver.environment.snapshot())))
    assert again.compare(driver.environment.snapshot()) == []
    for _ in range(40):
        call, result = driver.play()
        assert again.call(call) == result


@pytest.mark.parametrize("name", NAMES)
def test_answers_have_the_fields_that_the_documents_promise(name: Any) -> None:
    documents = {tool["name"]: tool for tool in KINDS[name].tools()}
    driver = start(name, 5)
    for _ in range(400):
        call, result = driver.play()
        if result.ok:
            promised = documents[call.name]["returns"]["properties"]
            assert set(promised) <= set(result.value), call.name
            for field, schema in promised.items():
                assert _is(result.value[field], schema), (call.name, field)


def _is(value: Any, schema: Any) -> Any:
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    python = {
        **{"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict},
        "null": type(None),
    }
    if not any(type(value) is python[kind] for kind in kinds if kind):
        return False
    return not isinstance(value, list) or all(_is(item, schema["items"]) for item in value)


@pytest.mark.parametrize(("name", "tool", "requires"), REQUIRING)
def test_a_declared_pre_condition_decides_whether_a_call_is_tried(
    name: Any, tool: Any, requires: Any
) -> None:
    missing = "needs " + " and ".join(requires) + " to be called first"
    for seed in range(40):
        driver = start(name, seed)
        _, result = driver.play(tool)
        assert not result.ok
        if missing in result.text:
            break
    else:
        pytest.fail("the call was never refused for its pre-condition")
    for seed in range(200):
        driver = start(name, seed)
        for condition in requires:
            for _ in range(40):
                if driver.play(condition)[1].ok:
                    break
        _, result = driver.play(tool)
        if missing not in result.text and "_argument" not in result.text:
            return
    pytest.fail("the pre-condition was never met")


@pytest.mark.parametrize("name", sorted(set(NEW) - {"calendar"}))
def test_leaving_ends_what_needs_a_session(name: Any) -> None:
    enter, leave = {
        **{
            "bank": ("sign_in", "sign_out"),
            "clinic": ("badge_in", "badge_out"),
        },
        **{"home": ("connect_hub", "disconnect_hub"), "music": ("start_listening", "stop_listening")},
        **{"rental": ("open_desk", "close_desk")},
    }[name]
    driver = start(name, 2)
    while not driver.play(enter)[1].ok:
        pass
    assert driver.play(leave)[1].ok
    assert f"needs {enter} to be called first" in driver.environment.call(Call(leave)).text


def test_a_world_is_imported_when_it_is_first_looked_up() -> None:
    code = (
        "import sys, funreason_train.environments as e\n"
        "there = lambda: sorted(n for n in sys.modules if '.domains.' in n)\n"
        "assert not there() and 'bank' in e.ENVIRONMENTS, there()\n"
        "assert e.make_environment('bank').name == 'bank'\n"
        "assert 'funreason_train.environments.domains.bank' in there()\n"
        "assert 'funreason_train.environments.domains.travel' not in there()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
