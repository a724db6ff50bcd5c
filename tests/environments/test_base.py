"""What every environment promises: documents, errors as text, snapshots and comparison."""

import json
from typing import Any

import pytest

from funreason_train.calls import Call, is_tool_name
from funreason_train.environments import ENVIRONMENTS, make_environment, registry
from funreason_train.errors import UserError


def answer(environment: Any, name: Any, **arguments: Any) -> Any:
    return json.loads(environment.call(Call(name, arguments)).text)


def test_the_three_oldest_worlds_are_as_the_quickstart_knows_them() -> None:
    documents = [tool for name in ("helpdesk", "shop", "travel") for tool in make_environment(name).tools()]
    assert len({tool["name"] for tool in documents}) == len(documents) == 30
    for tool in documents:
        assert is_tool_name(tool["name"])
        assert tool["description"].endswith(".")
        assert tool["parameters"]["type"] == "object"
        assert tool["parameters"]["required"] == list(tool["parameters"]["properties"])


def test_an_unknown_environment_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="helpdesk"):
        make_environment("kitchen")
    with pytest.raises(UserError, match="did you mean bfcl/GorillaFileSystem"):
        make_environment("GorillaFileSystem")


def test_a_server_whose_file_is_not_named_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._FAMILIES, "mcp/", raising=False)
    with pytest.raises(UserError, match=r"no environment mcp/shop: the MCP servers .* servers=FILE"):
        make_environment("mcp/shop")


def test_an_unknown_table_in_the_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="customers"):
        make_environment("helpdesk").reset({"clients": {}})


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("method", ["reset", "call", "snapshot", "record", "__init__", "state", "nothing"])
def test_only_tools_can_be_called(name: Any, method: str) -> None:
    assert "error" in answer(make_environment(name), method, config={})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"customer": "C10"},
        {"customer": 10, "plan": "Plus"},
        {"customer": "C10", "plan": "Gold"},
        {"customer": "C10", "plan": "Plus", "more": 1},
    ],
)
def test_arguments_that_do_not_fit_change_nothing(arguments: dict[str, Any]) -> None:
    environment = make_environment("helpdesk")
    environment.reset({"customers": {"C10": {"name": "Alwin", "plan": "Basic"}}})
    before = environment.snapshot()
    assert "error" in answer(environment, "set_plan", **arguments)
    assert environment.compare(before) == []


def test_a_bool_is_no_quantity() -> None:
    environment = make_environment("shop")
    environment.reset({"items": {"K10": {"name": "Lumobox", "price": 10, "stock": 5}}})
    assert "error" in answer(environment, "restock_item", item="K10", quantity=True)


def test_a_snapshot_is_a_json_copy_and_a_fresh_start() -> None:
    environment = make_environment("helpdesk")
    config = {"customers": {"C10": {"name": "Alwin", "plan": "Basic"}}, "fresh": {"tickets": ["T20"]}}
    environment.reset(config)
    before = environment.snapshot()
    assert json.loads(json.dumps(before)) == before
    answer(environment, "open_ticket", customer="C10", topic="Login")
    assert config["fresh"] == {"tickets": ["T20"]}, "the configuration is not the state"
    assert len(environment.compare(before)) == 2, "the ticket, and the id that is used up"
    again = make_environment("helpdesk")
    again.reset(before)
    assert again.compare(before) == []


def test_new_ids_come_from_the_configuration_and_run_out() -> None:
    environment = make_environment("helpdesk")
    environment.reset(
        {"customers": {"C10": {"name": "Alwin", "plan": "Basic"}}, "fresh": {"tickets": ["T77", "T33"]}}
    )
    opened = [answer(environment, "open_ticket", customer="C10", topic="Login") for _ in range(3)]
    assert opened[:2] == [{"ticket": "T77"}, {"ticket": "T33"}]
    assert "error" in opened[2]
