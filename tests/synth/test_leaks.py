"""What must never be given away: sub-tools and intermediate values by a hard query, gold values by a hint.

The oracles here are plain searches of their own, and know nothing of how the checks work.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from funreason_train.calls import Call, render_calls
from funreason_train.environments import Environment, Result
from funreason_train.environments.domains import WORLDS
from funreason_train.environments.registry import configured_environment
from funreason_train.settings.compose import compose
from funreason_train.synth.agents.base import Abstracting, Criticising, Querying
from funreason_train.synth.agents.offline import OfflineAgents
from funreason_train.synth.chain.forms import gives_away
from funreason_train.synth.chain.hints import fallback, reveals
from funreason_train.synth.chain.needs import Needs, needs_of
from funreason_train.synth.chain.query import query_problems, tells_flag, written
from funreason_train.synth.explore.directions import Directions
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.sampler import Sampler
from funreason_train.synth.explore.trace import Executed, Source, leaves
from funreason_train.synth.work.sample import Samples
from funreason_train.synth.work.workers import at_once

BFCL = (
    *("GorillaFileSystem", "MathAPI", "MessageAPI", "TwitterAPI", "TicketAPI", "TradingBot", "TravelAPI"),
    "VehicleControlAPI",
)
ALL = (*WORLDS, *(f"bfcl/{name}" for name in BFCL))

#: Values that are easily told by accident, or in another spelling.
ADVERSARIAL = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([0.5, 7.0, 1250, 100000, -40, 12.75]),
    st.sampled_from(["a", "no", "on", "please", "please do", "the day", "need", "yes", "true", "for", "it"]),
    st.sampled_from(["7", "12", "007", "1250", "2026-03-05", "05/03/2026", "14:30", "2026-03-05T14:30:00"]),
    st.sampled_from(
        ["Müller", "Zoë Ångström", "北京", "こんにちは", "é", "ﬁle", "İzmir", "O’Neil", "naïve café"]
    ),
    st.sampled_from(
        ["a.b", "C++", "x_y", "AB-12", "TMA1967", "e@mail.example", "get_price", "50%", "[f(a=1)]"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6),
)


def stands_in(text: str, value: Any) -> bool:
    """A plain search: the value as it is, set apart from letters and digits, in whatever case."""
    shown = unicodedata.normalize("NFC", written(value)).lower()
    inside = unicodedata.normalize("NFC", text).lower()
    return bool(shown.strip()) and re.search(rf"(?<!\w){re.escape(shown)}(?!\w)", inside) is not None


# -- forms of a value --------------------------------------------------------------------------------------


@given(ADVERSARIAL, st.sampled_from(["It is {}.", "{}", "({})", "so: {}, and more", "take «{}»!"]))
def test_a_value_as_it_is_gives_itself_away(value: Any, frame: str) -> None:
    assume(any(one.isalnum() for one in str(value)))
    assert gives_away(frame.format(value), value)
    assert gives_away(frame.format(unicodedata.normalize("NFD", str(value))), value)
    assert gives_away(frame.format(str(value).upper()), value)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (1250, ["1,250", "1250.0", "1 250 euros", "+1250"]),
        ("1250", ["1,250", "it was 1250.00"]),
        (7, ["seven days", "7.0", "no. 7"]),
        (-3.5, ["-3.5 degrees", "-3.50"]),
        ("TMA1967", ["tma-1967", "TMA 1967", "T.M.A. 1967", "ＴＭＡ１９６７"]),
        (
            "2026-03-05",
            ["March 5", "5 March 2026", "the 5th of March", "5/3/26", "03/05/2026", "Mar 5th, 2026"],
        ),
        ("05/03/2026", ["2026-03-05", "5 Mar", "May 3"]),
        ("2026-03-05T14:30:00", ["at 2:30 pm", "14.30", "on 5 March"]),
        ("09:00", ["9 am", "9 o'clock", "9:00", "09h00"]),
        ("Zoë Ångström", ["zoë ångström", unicodedata.normalize("NFD", "Zoë Ångström")]),
        ("北京", ["从北京到上海"]),
        ("please do", ["Please  do", "please, do"]),
        ({"a": [1, {"b": "X9"}]}, ["it is x9"]),
    ],
)
def test_a_value_in_another_form_gives_itself_away(value: Any, texts: list[str]) -> None:
    for text in texts:
        assert gives_away(text, value), text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It costs 125 or 12.5.", 12),
        ("Annabel", "Anna"),
        ("AB-123", "AB-12"),
        ("2026-03-15", "2026-03-05"),
        ("12:30 pm", "14:30"),
        ("Nothing at all", ""),
        ("Nothing at all", None),
        ("someone", 1),
    ],
)
def test_what_only_looks_like_a_value_does_not(text: str, value: Any) -> None:
    assert not gives_away(text, value)


@pytest.mark.parametrize(
    ("text", "value", "told"),
    [
        ("Book it with insurance.", True, True),
        ("Book it with insurance.", False, False),
        ("Book it without insurance.", False, True),
        ("Book it, no insurance please.", False, True),
        ("I have no time for this, but book the seat.", False, False),
        ("Yes, please, on with it.", True, False),
        ("Details: city Rome; insurance no.", False, True),
        ("Details: city Rome; insurance yes.", True, True),
        ("I don't want it insured.", False, True),
    ],
)
def test_a_flag_is_told_of_what_it_is_about(text: str, value: bool, told: bool) -> None:
    assert tells_flag(text, "insurance" if "insured" not in text else "insured", value) is told


# -- queries over all environments -------------------------------------------------------------------------


@cache
def learnt(name: str) -> Graph:
    kind = configured_environment(name)
    return learn(kind(), lambda rng: kind.scenario(rng, 4), "leaks", 12, 25)


def traces(name: str, seed: int) -> Iterator[tuple[list[Executed], list[Executed]]]:
    """The turns of a conversation in an environment, and all its calls so far."""
    kind, graph, rng = configured_environment(name), learnt(name), Random(seed)
    world: Environment = kind()
    config = kind.scenario(rng, 4)
    world.reset(config)
    sampler = Sampler(world, graph, Directions(graph), Drawer(graph, config), rng)
    targets = [one for one in Directions(graph).targets if graph.tools[one].ok]
    for _ in range(2):
        sampled = sampler.turn(rng.choice(targets), rng.randint(0, 2))
        if sampled.trace:
            yield sampled.trace, sampler.history.copy()


def swapped(value: Any, old: Any, new: Any) -> Any:
    """A JSON value with another scalar wherever one stood."""
    if isinstance(value, dict):
        return {key: swapped(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [swapped(one, old, new) for one in value]
    return new if type(value) is type(old) and value == old else value


def with_value(calls: list[Executed], old: Any, new: Any) -> list[Executed]:
    return [
        Executed(
            Call(one.call.name, swapped(dict(one.call.arguments), old, new)),
            Result(one.result.text, one.result.ok, swapped(one.result.value, old, new)),
            *(one.changed, one.sources, one.number),
        )
        for one in calls
    ]


def hard_query(needs: Needs, graph: Graph, rng: Random, noise: int) -> str:
    async def written() -> str:
        agents = OfflineAgents({})
        advanced = await agents.abstract(Abstracting(needs, graph))
        job = Querying(needs, graph, advanced, "plain", True, (), noise, "", rng)
        return (await agents.query(job)).hard

    return asyncio.run(written())


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), value=ADVERSARIAL, which=st.integers(0, 20), noise=st.integers(0, 2))
def test_a_hard_query_that_passes_tells_what_it_must_and_nothing_else(
    name: str, seed: int, value: Any, which: int, noise: int
) -> None:
    """Real traces of every environment, one of whose values is exchanged for an awkward one."""
    graph = learnt(name)
    for trace, history in traces(name, seed):
        values = [found for one in trace for _, found in leaves(one.call.arguments) if found is not None]
        old = values[which % len(values)] if values else object()
        everything = with_value(history, old, value)
        turn = everything[-len(trace) :]
        needs = needs_of(turn, everything, graph)
        text = hard_query(needs, graph, Random(seed), noise)
        if query_problems(text, needs):
            continue
        told = [one.shown[1] for one in needs.given]
        for one in told:
            for scalar in one if isinstance(one, list) else [one]:
                if not isinstance(scalar, (bool, dict)):
                    assert written(scalar) in text
        for hidden in needs.derived:
            if isinstance(hidden, bool) or any(stands_in(str(one), hidden) for one in told):
                continue
            assert not stands_in(text, hidden), (text, hidden)
        for executed in turn:
            tool = executed.call.name
            assert f"{tool}(" not in text
            if "_" in tool and not any(tool in str(one) for one in told):
                assert re.search(rf"\b{tool}\b", text) is None


@given(
    st.lists(ADVERSARIAL, min_size=1, max_size=3), ADVERSARIAL, st.text("ab .,", max_size=12), st.booleans()
)
def test_whoever_writes_a_query_it_is_refused_if_it_gives_a_derived_value_away(
    told: list[Any], hidden: Any, around: str, leak: bool
) -> None:
    lookup = Executed(
        Call("find_it", {f"p{n}": one for n, one in enumerate(told)}),
        *(Result("{}", True, {"key": hidden}), False, {}, 0),
    )
    use = Executed(
        Call("use_it", {"key": hidden}),
        *(Result("{}", True, {}), True, {"key": Source("result", "find_it/key", 0, ("key",))}, 1),
    )
    graph = Graph(
        "x",
        [
            {"name": name, "description": "", "parameters": {"type": "object", "properties": {}}}
            for name in ("find_it", "use_it")
        ],
    )
    needs = needs_of([lookup, use], [lookup, use], graph)
    text = f"{around} " + "; ".join(written(one) for one in told) + (f"; {written(hidden)}" if leak else "")
    problems = query_problems(text, needs)
    for one in told:
        assert written(one) in text
    apart = hidden in needs.derived and not any(stands_in(written(one), hidden) for one in told)
    if apart and stands_in(text, hidden):
        assert any(one.startswith("query_gives_value_away") for one in problems)


# -- hints -------------------------------------------------------------------------------------------------

GOLD = st.lists(
    st.builds(
        Call,
        st.sampled_from(["buy_tickets", "f", "getZip", "look"]),
        st.dictionaries(
            st.sampled_from(["city", "n", "urgent", "day"]), st.one_of(ADVERSARIAL, st.booleans()), max_size=3
        ),
    ),
    min_size=1,
    max_size=3,
)


@given(GOLD, st.data())
def test_no_hint_that_passes_holds_a_gold_call_or_a_value_of_it(gold: list[Call], data: Any) -> None:
    values = [one for call in gold for _, one in leaves(call.arguments)]
    parts = st.one_of(
        *(st.sampled_from([str(one) for one in values] or ["x"]), st.text("abc .", max_size=8)),
        st.sampled_from([render_calls(gold), gold[0].name, "Read the request again.", "Look at the day."]),
    )
    hint = " ".join(data.draw(st.lists(parts, max_size=4)))
    passed = fallback(gold) if reveals(hint, gold) else hint
    for call in gold:
        assert f"{call.name}(" not in passed
        for _, value in leaves(call.arguments):
            if not isinstance(value, bool):
                assert not stands_in(passed, value), (passed, value)
            else:
                assert not re.search(rf"\b{value}\b", passed, re.IGNORECASE)


class Blabbing(OfflineAgents):
    """A critic that tells the answer in ever other forms."""

    async def criticise(self, job: Criticising) -> str:
        values = [one for call in job.gold for _, one in leaves(call.arguments)]
        forms = [
            render_calls(job.gold),
            " and ".join(map(str, values)),
            f"The value is {values[0]}." if values else "Look again.",
            "You have overlooked something.",
        ]
        return forms[len(job.made) % len(forms)]


@pytest.mark.parametrize("name", ALL)
def test_no_hint_of_a_conversation_holds_gold_whatever_the_critic_says(name: str) -> None:
    words = [
        f"environments=[{name}]",
        "offline.errors.wrong_value=0.7",
        "turns=2",
        "chain.tries=4",
        "kinds.no_tool=0",
    ]
    section: Any = OmegaConf.to_container(compose("synth", words).synth, resolve=True)
    job = {
        **{"key": name, "seed": 1, "split": "train", "settings": section, "targets": None, "modules": []},
        **{"servers": None, "cassette": None, "learnt": {}, "graphs": {name: learnt(name).to_json()}},
        **{"agents": {"kind": "offline", "errors": {}}, "apart": []},
    }
    samples = Samples(job, Blabbing(section["offline"]["errors"]))
    hints = 0
    for number in range(12):
        made = at_once(samples.make(number))
        if not made["ok"]:
            continue
        task = json.loads(made["task"])
        by_turn = [[call["arguments"] for step in turn["steps"] for call in step] for turn in task["turns"]]
        gold = [value for turn in by_turn for arguments in turn for _, value in leaves(arguments)]
        for note in made["figures"]["notes"]:
            for hint in note.get("hints", ()):
                hints += 1
                assert "(" not in hint or not any(
                    f"{name}(" in hint for name in samples.worlds[name].documents
                )
                told = [one for one in gold if isinstance(one, (int, float)) or len(str(one)) > 3]
                assert not [one for one in told if not isinstance(one, bool) and stands_in(hint, one)], hint
    assert hints > 0
