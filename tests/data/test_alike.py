"""A tool that might answer in another's place is found by its words, and one that cannot is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.check.alike import could_answer, words


def _tool(name: str, about: str = "", /, **arguments: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": about,
        "parameters": {
            "type": "object",
            "properties": {one: {"type": kind} for one, kind in arguments.items()},
            "required": list(arguments),
        },
    }


WEATHER = _tool("get_weather", "Current weather conditions in a place.", city="string")
CALL = Call("get_weather", {"city": "Oslo"})
QUESTION = words("Will I need an umbrella in Oslo, what does the weather look like?")


@pytest.mark.parametrize(
    "tool",
    [
        _tool("weather_forecast", "Tells how the next days will be.", place="string", days="integer"),
        _tool("getCurrentWeatherV2", "", latitude="number", longitude="number"),
        _tool("accuWeather.now", "AccuWeather's feed.", where="string"),
        _tool("climate_now", "Conditions of the weather at a place.", location="string", unit="string"),
        _tool("meteo", "Tells whether to take an umbrella.", spot="string", hour="integer"),
        _tool("outlook", "Rain and sunshine.", city="string"),  # the call fits as it is
        _tool("web_search", "Searches for pages.", q="string", n="integer"),
        _tool("ask", "Lets another LLM reply.", prompt="string"),
        _tool("execute", "Runs Python code.", code="string"),
        _tool("search", "", query="string"),  # it says nothing of itself
        _tool("func_3f2a", "", arg_1="string", arg_2="string"),
    ],
    ids=lambda tool: tool["name"],
)
def test_what_might_answer(tool: dict[str, Any]) -> None:
    assert could_answer(tool, [WEATHER], [CALL], QUESTION)


@pytest.mark.parametrize(
    "tool",
    [
        _tool("book_hotel", "Books a room.", city="string", nights="integer"),
        _tool("stock_price", "The price of a share at the exchange.", ticker="string"),
        _tool("place_order", "Orders an article in the shop.", article="string"),  # one common word is chance
        _tool("translate", "Translates between languages.", source="string", target="string"),
        _tool("city_population", "How many people live there.", city="integer"),  # the call does not fit
    ],
    ids=lambda tool: tool["name"],
)
def test_what_cannot(tool: dict[str, Any]) -> None:
    assert not could_answer(tool, [WEATHER], [CALL], QUESTION)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("search_flights", "flight.lookup"),
        ("convertCurrency", "currency_converter"),
        ("list_cities", "city"),
        ("calculate_area_of_circle", "circle_area"),
        ("获取天气", "天气查询"),
    ],
)
def test_names_that_speak_of_one_thing(one: str, other: str) -> None:
    first, second = _tool(one, "One.", x="string"), _tool(other, "Another.", y="integer")
    assert could_answer(second, [first], [Call(one, {"x": "a"})], words("Do it"))
    assert could_answer(first, [second], [Call(other, {"y": 1})], words("Do it"))


def test_the_question_decides_where_nothing_is_called() -> None:
    """A reply without calls is right only as long as no distractor answers."""
    assert could_answer(WEATHER, [], [], QUESTION)
    assert not could_answer(WEATHER, [], [], words("Who wrote Faust?"))


def test_words() -> None:
    assert words("getHTTPStatus_codes v2") == words("HTTP, Status: code")
    assert words("translated translators") == words("Translation")
    assert words("The returned list of results, by the API") == frozenset()
