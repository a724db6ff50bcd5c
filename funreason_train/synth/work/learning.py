"""Phase I of one environment: what is asked of it before anything is spent, and what is learnt of it then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from ...environments import Environment
from ...environments.mcp import PREFIX, check_isolation, keep_learnt
from ...environments.registry import is_own
from ...errors import UserError
from ...run.progress import report
from ..explore.graph import Graph
from ..explore.learn import SLOW, Scenario, Told, learn
from ..explore.measure import measure
from ..explore.steady import leaks, unsteady_tools
from .guard import check_state, check_tools, environment_of, in_one_process
from .store import Store

_AGAIN = 3  # times that a server is learnt, since its ids may turn out to be drawn
_HANGS = f"a call takes more than {SLOW:g} s, has no answer in time, or ends the process that it runs in"


def prepare(store: Store, name: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Refuses an environment that cannot be used; takes seconds where learning takes minutes.

    Args:
        store: Takes what is found out of an MCP server.
        name: The environment's.
        settings: The section `synth`, as plain values.

    Returns:
        Its tools.

    Raises:
        UserError: why it cannot be used.
    """
    served = name.startswith(PREFIX)
    report(0, len(settings["environments"]), f"looking at {name}", now=True)
    documents: list[dict[str, Any]] = []
    # A class of one's own in a process of its own first, since it may end it; then as samples have it.
    for kind in dict.fromkeys((environment_of(name, apart=True), environment_of(name))):
        environment = kind()
        try:
            if served:
                _apart(store, name, kind, settings["cassette"])
            documents = environment.tools()
            check_tools(name, documents)
            apart = getattr(kind, "apart", True)  # in one process, `leaks` finds out what is not steady
            config = kind.scenario(Random("state"), settings["size"])
            check_state(environment, config, steady=apart and not served)
        except ValueError as error:
            raise UserError(
                f"conversations in {name} could not be replayed and compared ({error})",
                fix="Leave it out of synth.environments, or let it show its state",
            ) from None
        finally:
            environment.close()
    return tuple(document["name"] for document in documents)


def explore(name: str, settings: Mapping[str, Any], seed: int, told: Told) -> dict[str, Any]:
    """Learns one environment.

    Args:
        name: The environment's, which is prepared.
        settings: The section `synth`, as plain values.
        seed: Of all draws.
        told: Hears how far it is.

    Returns:
        `{"graph", "sampling": how sampling does in it, "left_out": tool -> reason, "apart": whether each of
        its conversations needs a process of its own, "learnt": what was found out of an MCP server}`.

    Raises:
        UserError: it fails meanwhile.
    """
    own_seed, served = f"{seed}/{name}", name.startswith(PREFIX)
    options = settings["graph"]
    # A conversation costs a process or a connection there.
    amount = options["servers"] if served else options
    kind: Any = environment_of(name, apart=True)
    environment = kind()

    def scenario(rng: Random) -> Mapping[str, Any]:
        return dict(kind.scenario(rng, settings["size"]))

    try:
        for _ in range(_AGAIN):
            known = kind.learnt() if served else None
            left_out = dict(environment.left_out())
            graph = learn(environment, scenario, own_seed, amount["episodes"], options["calls"], told=told)
            left_out |= dict.fromkeys(sorted(graph.avoided), _HANGS)
            _some_left(name, graph, left_out)
            _some_succeeded(name, graph)
            if served or is_own(name):
                left_out |= unsteady_tools(environment, scenario, graph, own_seed, told)
            if not served or kind.learnt() == known:
                break
            _forget(name, environment, settings["cassette"])  # what was learnt with ids of chance
        _some_left(name, graph, left_out)
        apart = is_own(name) and _leaks(name, environment, scenario, graph, own_seed)
        compared = (
            measure(environment, scenario, graph, own_seed, amount["measure"], 60, told)
            if amount["measure"]
            else {}
        )
    except ValueError as error:  # its state could be read at first and no longer can
        fix = "Look at the environment; the same command begins again with it."
        raise UserError(f"{name} failed while its graph was learnt ({error})", fix=fix) from None
    finally:
        environment.close()
    if served and kind.cassette is not None and kind.cassette.missed:
        raise UserError(
            f"the cassette of {name} does not hold this run: {kind.cassette.missed}",
            fix="Replay with the settings and the seed that it was recorded with",
        )
    for tool, record in graph.tools.items():
        if not record.ok and tool not in left_out:
            said = f"; the last error: {record.said[-1]}" if record.said else ""
            left_out[tool] = f"no call of it succeeded in {record.failed} tries{said}"
            if served and record.failed:
                left_out[tool] += " (session.examples can hold calls that work)"
    made = {"graph": graph.to_json(), "sampling": compared, "left_out": left_out, "apart": apart}
    if served:
        _tell(name, graph, left_out)
        made["learnt"] = kind.learnt()
        _record(name, kind, settings["cassette"])
    return made


def _leaks(name: str, environment: Environment, scenario: Scenario, graph: Graph, seed: str) -> bool:
    """Whether conversations would see each other in one process; says so."""
    shared = in_one_process(name)()
    try:
        found = leaks(environment, shared, scenario, graph, seed)
    finally:
        shared.close()
    if found:
        told = "each conversation has a process of its own, which takes longer"
        print(f"{name} keeps something beyond its objects ({found}): {told}", flush=True)
    return bool(found)


def _some_left(name: str, graph: Graph, left_out: Mapping[str, str]) -> None:
    """Refuses an environment of which no tool can be used."""
    if graph.avoided >= graph.tools.keys():
        told = "; ".join(f"{tool}: {left_out[tool]}" for tool in list(graph.tools)[:3])
        raise UserError(f"no tool of {name} can be used ({told})", fix="Leave it out of synth.environments")


def _some_succeeded(name: str, graph: Graph) -> None:
    """Refuses an environment that has answered nothing but errors."""
    records = graph.tools.values()
    if any(record.ok for record in records):
        return
    said = next((" ".join(record.said[-1].split()) for record in records if record.said), "")
    raise UserError(
        f"no call of the environment {name} ever succeeded while its graph was learnt"
        + (f"; the last error: {said[:200]}" if said else ""),
        fix="Mend what the error names (a service, a login, a file), or leave it out of synth.environments",
    )


def _apart(store: Store, name: str, kind: Any, cassette: Mapping[str, Any]) -> None:
    """Refuses an MCP server whose sessions see each other's changes; says what was found."""
    if not cassette["replay"]:
        print(check_isolation(kind), flush=True)
        _record(name, kind, cassette)
    store.keep(f"learnt/{name}", json.dumps(kind.learnt()))


def _forget(name: str, environment: Environment, cassette: Mapping[str, Any]) -> None:
    """Drops what was recorded of a server so far, whose ids were others than they will be."""
    environment.close()
    if cassette["record"]:
        file = Path(cassette["record"]).expanduser() / f"{name.removeprefix(PREFIX)}.jsonl"
        file.unlink(missing_ok=True)


def _record(name: str, kind: Any, cassette: Mapping[str, Any]) -> None:
    if cassette["record"]:
        keep_learnt(Path(cassette["record"]).expanduser(), name.removeprefix(PREFIX), kind.learnt())


def _tell(name: str, graph: Graph, left_out: Mapping[str, str]) -> None:
    used = [tool for tool in graph.tools if tool not in left_out]
    print(f"{name}: {len(used)} of {len({*graph.tools, *left_out})} tools are used", flush=True)
    for tool, reason in left_out.items():
        print(f"  {tool} is left out: {' '.join(reason.split())[:300]}", flush=True)
