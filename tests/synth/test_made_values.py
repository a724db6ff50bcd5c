"""Values that are made from a schema keep to it: patterns, lengths, bounds, multiples."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from funreason_train.synth.explore import words
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.draw.formats import in_format, keeps, named_format
from funreason_train.synth.explore.draw.patterned import text_like
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.words import number_for, options_in

PATTERNS = (
    *(
        "^[A-Z]{3}$",
        r"^\d{4}-\d{2}-\d{2}$",
        "^#[0-9a-fA-F]{6}$",
        "^[a-z0-9]+(?:-[a-z0-9]+)*$",
        r"^(low|mid|high)$",
    ),
    *(
        r"^\S+@\S+\.\S+$",
        r"^\+?[1-9]\d{1,14}$",
        r"^ORD-\d{5,}$",
        r"^[^/\\]+\.(?:csv|json)$",
        r"^(?<year>\d{4})/W\d\d$",
    ),
    *(
        r"^0x[0-9A-F]+$",
        r"^[\w.-]{3,}$",
        r"^[a-z]{2}(_[A-Z]{2})?$",
        r"^v?\d+\.\d+\.\d+$",
        "^a|b$",
        r"^\$\d+(\.\d\d)?$",
    ),
    *(
        r"^[^@\s]+$",
        r"^.{1,20}$",
        r"[0-9]",
        r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        r"^\/[a-z]+\/$",
        "^é[à-ü]$",
        r"^A\x41\u0042$",
    ),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_text_is_made_for_a_pattern(pattern: str) -> None:
    python = pattern.replace("(?<", "(?P<")
    for seed in range(20):
        made = in_format({"type": "string", "pattern": pattern}, "a quiet harbour", Random(seed))
        assert re.search(python, made), (pattern, made)


def test_a_text_that_matches_already_stays() -> None:
    assert in_format({"pattern": "^[a-z ]+$"}, "quiet harbour", Random(0)) == "quiet harbour"


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?=.*\d)[a-z]+",
        r"(?!x)y",
        r"(a)\1",
        "[[:alpha:]]+",
        r"\p{Han}",
        "(",
        "[",
        "*a",
        "a{5,2}",
        "(?<=a)b",
        "a)b",
    ],
)
def test_a_pattern_that_is_not_understood_leaves_the_text(pattern: str) -> None:
    assert text_like(pattern, "a note", Random(0)) is None or re.search(pattern, "a note")
    assert in_format({"pattern": pattern}, "A NOTE 7", Random(0)) == "A NOTE 7"


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "^(a|a){40}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "a*" * 60 + "!"]
)
def test_a_pattern_that_takes_for_ever_to_try_is_not_tried(pattern: str) -> None:
    made = text_like(pattern, "a" * 150 + "?", Random(0))
    assert made is not None and made != "a" * 150 + "?"


ATOMS = st.sampled_from(["a", r"\d", r"\w", "[A-F]", "[^a-y]", r"\.", "(?:xy|z)", "(q)", ".", " ", "-"])
COUNTS = st.sampled_from(["", "", "", "?", "+", "*", "{2}", "{1,3}", "{2,}", "+?"])


@given(st.lists(st.tuples(ATOMS, COUNTS), min_size=1, max_size=6), st.integers(0, 99))
def test_whatever_is_made_for_a_pattern_matches_it(parts: list[tuple[str, str]], seed: int) -> None:
    pattern = f"^{''.join(atom + count for atom, count in parts)}$"
    made = text_like(pattern, "a note", Random(seed))
    assert made is not None and re.search(pattern, made)


@given(st.text(max_size=40), st.integers(0, 9))
def test_any_pattern_is_read_or_left(pattern: str, seed: int) -> None:
    made = text_like(pattern, "a note", Random(seed))
    assert made is None or isinstance(made.encode(), bytes)


def test_a_pattern_is_kept_to_together_with_lengths() -> None:
    schema = {"pattern": "^[a-z]+$", "minLength": 4, "maxLength": 5}
    for said in ("A", "a", "harbours"):
        assert all(4 <= len(in_format(schema, said, Random(seed))) <= 5 for seed in range(20))


def test_one_seed_gives_the_same_text_in_every_process() -> None:
    script = (
        "from random import Random; from funreason_train.synth.explore.draw.patterned import text_like\n"
        "print([text_like(p, '', Random(3)) for p in ('^[^a]{9}$', '[A-Za-z0-9]{9}', '[qwerty]{9}')])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1 and found != {b""}


BOUNDS = st.one_of(st.none(), st.integers(-2000, 2000), st.floats(-2000, 2000).map(lambda one: round(one, 3)))


@given(
    st.sampled_from(["integer", "number"]),
    *(BOUNDS, st.booleans(), BOUNDS, st.booleans()),
    st.sampled_from([None, None, 5, 100, 0.25, 0.01]),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.5]),
)
def test_a_number_keeps_to_its_schema(
    kind: str, low: Any, above: bool, high: Any, below: bool, unit: Any, seed: int, edge: float
) -> None:
    schema: dict[str, Any] = {"type": kind}
    if low is not None:
        schema["exclusiveMinimum" if above else "minimum"] = low
    if high is not None:
        schema["exclusiveMaximum" if below else "maximum"] = high
    if unit is not None and not (kind == "integer" and unit < 1):
        schema["multipleOf"] = unit
    if low is not None and high is not None:
        assume(high - low > 2 * max(1, schema.get("multipleOf", 1)))
    made = number_for(schema, Random(seed), "", edge)
    assert isinstance(made, int) or kind == "number"
    if low is not None:
        assert low < made if above else low <= made
    if high is not None:
        assert made < high if below else made <= high
    if unit := schema.get("multipleOf"):
        assert abs(made / unit - round(made / unit)) < 1e-6


@pytest.mark.parametrize(
    "rule", [{"exclusiveMinimum": True, "minimum": 5, "maximum": 6}, {"maximum": -3}, {"maximum": 0}]
)
def test_an_older_schema_s_bounds_hold(rule: dict[str, Any]) -> None:
    for seed in range(20):
        made = number_for({"type": "integer", **rule}, Random(seed))
        assert made <= rule["maximum"] and made > rule.get("minimum", -1000)


def test_of_two_bounds_the_narrower_one_holds() -> None:
    rule = {"type": "integer", "minimum": 5, "exclusiveMinimum": 0, "maximum": 90, "exclusiveMaximum": 7}
    assert {number_for(rule, Random(seed)) for seed in range(40)} == {5, 6}


def drawer(properties: dict[str, Any], required: list[str]) -> Drawer:
    parameters = {"type": "object", "properties": properties, "required": required}
    return Drawer(Graph("x", [{"name": "f", "description": "", "parameters": parameters}]), {})


def drawn(properties: dict[str, Any], *required: str) -> list[dict[str, Any]]:
    return [drawer(properties, list(required)).arguments("f", Random(seed))[0] for seed in range(60)]


def test_nobody_asks_for_an_object_with_nothing_in_it() -> None:
    contact = {"type": "object", "properties": {"email": {"type": "string"}, "phone": {"type": "string"}}}
    assert all(one["contact"] for one in drawn({"contact": contact}, "contact"))
    budget = {"type": "object", "additionalProperties": {"type": "number"}}
    for one in drawn({"budget": budget}, "budget"):
        assert len(one["budget"]) == 1 and all(isinstance(value, float) for value in one["budget"].values())


def test_a_default_without_a_word_is_not_told() -> None:
    found = [one["project"] for one in drawn({"project": {"type": "string", "default": ""}}) if one]
    assert found and "" not in found


def test_what_a_value_is_of_is_told_from_what_it_is() -> None:
    assert words.names_it("body", "files/file", "The content of the file") == 0.0
    assert words.names_it("which", "patients/patient", "Id of the patient") > 0.5
    assert words.text_for("fileName", Random(0)).endswith(".txt")


@pytest.mark.parametrize(
    ("name", "schema", "pattern"),
    [
        ("external_url", {"type": "string"}, r"https://\S+"),
        ("websiteLink", {"type": "string"}, r"https://\S+"),
        ("content_base64", {"type": "string"}, r"[A-Za-z0-9+/]+=*"),
        ("data", {"type": "string", "contentEncoding": "base64"}, r"[A-Za-z0-9+/]+=*"),
        ("url", {"type": "string", "pattern": "^/[a-z]+$"}, "/[a-z]+"),
        ("title", {"type": "string"}, "quiet harbour"),
    ],
)
def test_a_name_may_tell_how_a_text_is_written(name: str, schema: dict[str, Any], pattern: str) -> None:
    made = in_format(named_format(schema, name), "quiet harbour", Random(1))
    assert re.fullmatch(pattern, made) and (made == "quiet harbour" or " " not in made)
    if "base64" in str((name, schema)):
        assert b64decode(made, validate=True).startswith(b"Note ")


@pytest.mark.parametrize(
    ("told", "low", "high"),
    [
        ("How urgent it is (1-5).", 1, 5),
        ("A month, 1 – 12", 1, 12),
        ("From 3 to 4 of them", 3, 4),
        ("Rating on a scale of 0..10", 0, 10),
    ],
)
def test_a_range_of_numbers_in_a_description_is_kept_to(told: str, low: int, high: int) -> None:
    drawn = {number_for({"type": "integer"}, Random(seed), told) for seed in range(80)}
    assert drawn <= set(range(low, high + 1)) and len(drawn) > (high - low) / 2


@pytest.mark.parametrize("told", ["Since 2026-01-05", "At 09:30-10:00", "Of v1.2-3", "Counts down from 9-2"])
def test_what_is_no_range_is_none(told: str) -> None:
    assert {number_for({"type": "integer"}, Random(seed), told) for seed in range(40)} > {1, 30}


def test_a_range_of_letters_in_a_description_is_one_of_them() -> None:
    assert options_in("Priority (A-C)") == ("A", "B", "C")
    assert options_in("One letter from X to Z.") == ("X", "Y", "Z")
    assert not options_in("Sort by name, A-Z or Z-A") and not options_in("Plan B (Z-A)")


@given(st.integers(0, 300), st.none() | st.integers(0, 300), st.sampled_from(["", "plain kettle"]))
def test_a_made_text_keeps_to_its_lengths(least: int, most: int | None, text: str) -> None:
    schema = {"minLength": least} | ({} if most is None else {"maxLength": max(least, most)})
    made = in_format(schema, text, Random(0))
    assert keeps(schema, made)
    assert made == text or len(text) < least or not keeps(schema, text)
