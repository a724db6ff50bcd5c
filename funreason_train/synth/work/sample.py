"""One sample by its number: the same for the same seed, whoever makes it and whatever was made before."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Any

from ...environments.protocol import Environment, shown
from ...environments.registry import configured_environment
from ...errors import UserError
from ..agents.base import Agents
from ..chain.conversation import Asks, Rejected, Writer
from ..chain.plan import KINDS, CannotPlan, Planned, plan_turn
from ..explore.directions import Directions
from ..explore.draw.arguments import Drawer
from ..explore.graph import Graph
from ..explore.sampler import Sampler
from ..explore.seen import Seen
from ..kinds import kind_shares
from ..rows import conversation_row, line
from ..settings import load_all
from .guard import environment_of

_BLOCK = 100  # samples over which the shares of kinds are exact
_MOST_FAULTS = 20  # draws in a row in which an environment itself failed
_LARGE = 5  # times as many records in the world of a `long` conversation


class World:
    """One environment, ready for sampling.

    Args:
        name: As the configuration names it.
        graph: What was learnt of it.
        targets: The tools to aim at, in turn; None for all that can be reached.
        apart: See `Samples`.
    """

    def __init__(self, name: str, graph: Graph, targets: Sequence[str] | None, apart: bool) -> None:
        self.kind: type[Environment] = environment_of(name, apart)
        self.graph = graph
        self.directions = Directions(graph)
        self.without_values = Directions(graph, by_value=False)
        known = [one for one in targets or self.directions.targets if one in graph.tools]
        self.targets = [one for one in known if graph.tools[one].ok]
        self.documents = {
            name: shown(record.document) for name, record in graph.tools.items() if name not in graph.avoided
        }


class Samples:
    """Makes samples.

    Args:
        job: Plain values, so that it can be sent to other processes: `seed`, `split`, `settings` (the section
            `synth`), `graphs` (name -> `Graph.to_json`), `targets` (name -> tools, or None), `apart` (the
            classes that keep something beyond their objects), `modules`.
        agents: Who writes.
        apart: Whether classes of the user's own work in other processes, since this one makes all samples.
    """

    def __init__(self, job: Mapping[str, Any], agents: Agents, apart: bool = False) -> None:
        load_all(job["modules"], job["servers"], job["cassette"])
        self.settings, self.seed, self.split = job["settings"], job["seed"], job["split"]
        self.agents = agents
        self._faults: Counter[str] = Counter()
        for name, learnt in (job.get("learnt") or {}).items():
            configured_environment(name).adopt(learnt)  # type: ignore[attr-defined]
        self.names = list(job["graphs"])
        self.worlds = {
            name: World(
                *(name, Graph.from_json(graph), (job["targets"] or {}).get(name)),
                apart or name in job["apart"],
            )
            for name, graph in job["graphs"].items()
        }
        self.names = [name for name in self.names if self.worlds[name].targets]
        asks = self.settings["query"]
        self.asks = Asks(
            easy=asks["style"] == "easy",
            noise=asks["noise"],
            tries=self.settings["chain"]["tries"],
            by_state=self.settings["chain"]["validate_by"] == "state",
            long=asks["long_sentences"],
            slips=self.settings["offline"]["slips"],
            varied=asks["varied"],
        )

    @cached_property
    def kinds(self) -> list[str]:
        """A block's kinds, each as often as its share says."""
        shares = {kind: float(share) for kind, share in kind_shares(self.settings).items() if share > 0}
        total = sum(shares.values())
        exact = {kind: _BLOCK * share / total for kind, share in shares.items()}
        counts = {kind: int(number) for kind, number in exact.items()}
        for kind in sorted(exact, key=lambda one: counts[one] - exact[one])[: _BLOCK - sum(counts.values())]:
            counts[kind] += 1
        return [kind for kind in KINDS if kind in counts for _ in range(counts[kind])]

    def kind_of(self, index: int) -> str:
        """The kind of a sample; over a block of samples the shares are exact."""
        block = self.kinds.copy()
        Random(f"{self.seed}/{self.split}/kinds/{index // _BLOCK}").shuffle(block)
        return block[index % _BLOCK]

    def target_of(self, world: World, name: str, number: int) -> str:
        """The target of a turn; over as many turns as there are tools, each is one once."""
        cycle, place = divmod(number, len(world.targets))
        order = world.targets.copy()
        Random(f"{self.seed}/{self.split}/targets/{name}/{cycle}").shuffle(order)
        return order[place]

    async def make(self, index: int) -> dict[str, Any]:
        """One sample.

        Returns:
            `{"index", "ok", "kind", "environment", "draws", "lost": {phase/reason: count}, "seen"}`, the last
            being what its calls have shown (`explore.seen`), under its environment; of one that was accepted
            also `row` and `task` (lines), `opening` and `calls` (digests, the latter None where there are no
            calls) and `figures`.
        """
        lost: Counter[str] = Counter()
        name, kind = self.names[index % len(self.names)], self.kind_of(index)
        result: dict[str, Any] = {"index": index, "ok": False, "kind": kind, "environment": name}
        shown_by: list[dict[str, Any]] = []
        draws = self.settings["draws"]
        if kind == "no_tool" and not self._foreign(name):  # with one environment no draw can be one
            draws = 1
        for draw in range(draws):
            try:
                made = await self._sound(index, draw, name, kind, shown_by)
            except CannotPlan as error:
                lost[f"trace/{error.reason}"] += 1
            except Rejected as error:
                lost[f"{error.phase}/{error.reason}"] += 1
                result["detail"] = error.detail[:400]
            else:
                result |= {"ok": True, **made}
                break
        return {**result, "draws": draw + 1, "lost": dict(lost), "seen": [name, shown_by]}

    async def _sound(
        self, index: int, draw: int, name: str, kind: str, shown_by: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """A draw in which no environment itself has failed; whatever else went wrong, that is told.

        Args:
            index, draw, name, kind: What to make.
            shown_by: Takes what its calls have shown.

        Raises:
            UserError: it fails every time.
        """
        used: list[Environment] = []
        seen = Seen(self.worlds[name].graph)

        def make() -> Environment:
            used.append(self.worlds[name].kind())
            return used[-1]

        why, made = "", None
        try:
            made = await self._draw(index, draw, name, kind, make, seen)
        except UserError as error:  # it does not start, or is no longer what it was
            why = str(error)
        except (CannotPlan, Rejected):
            if not any(one.fault for one in used):
                shown_by.append(seen.to_json())
                raise
        except ValueError as error:  # its state cannot be read any more
            if not any(one.fault for one in used):
                raise Rejected("trace", "state_cannot_be_read", str(error)) from None
        why = why or next((one.fault for one in used if one.fault), "")
        if made is not None and not why:
            self._faults[name] = 0
            shown_by.append(seen.to_json())
            return made
        self._faults[name] += 1
        if self._faults[name] >= _MOST_FAULTS:
            raise UserError(
                f"{name} failed {_MOST_FAULTS} times in a row; the last time: {why}",
                fix="Mend what it names, or leave it out; the same command goes on with what is finished",
            )
        raise Rejected("environment", "fault", why)

    async def _draw(
        self, index: int, draw: int, name: str, kind: str, make: Callable[[], Environment], seen: Seen
    ) -> dict[str, Any]:
        rng = Random(f"{self.seed}/{self.split}/{index}/{draw}")
        world = self.worlds[name]
        size = self.settings["size"] * (_LARGE if kind == "long" else 1)
        config = world.kind.scenario(rng, size)
        knows_ids = rng.random() < self.settings["known_ids"]
        drawer = Drawer(world.graph, config, by_value=not knows_ids)
        environment = make()
        try:
            environment.reset(config)
            sampler = Sampler(
                *(
                    environment,
                    world.graph,
                    world.without_values if knows_ids else world.directions,
                    drawer,
                    rng,
                ),
                most=self.settings["sampler"]["most_calls"],
                seen=seen,
            )
            try:
                plans, states = self._plans(index, draw, name, kind, sampler, rng)
            finally:
                sampler.look_back()
        finally:
            environment.close()
        tools = self._offer(world, plans, kind, rng)
        identity = f"{self.split}-{index:06d}"
        writer = Writer(
            *(identity, make, config, world.graph, tools, self.agents, self.asks, rng),
        )
        written = await writer.write(plans, states, kind)
        opening = " ".join(written.trajectory.turns[0].user.lower().split())
        calls = [[one.to_json() for one in plan.gold] for plan in plans]
        return {
            "row": line(conversation_row(written.trajectory)),
            "task": line(written.task.to_json()),
            "opening": _digest(opening),
            "calls": _digest(json.dumps([name, calls])) if any(calls) else None,
            "figures": {**written.figures, **self._figures(plans)},
        }

    def _plans(
        self, index: int, draw: int, name: str, kind: str, sampler: Sampler, rng: Random
    ) -> tuple[list[Planned], list[Any]]:
        turns, world = self.settings["turns"], self.worlds[name]
        least, most = self.settings["sampler"]["extra_calls"]
        special = rng.randrange(1 if kind == "correction" else 0, turns) if turns > 1 else 0
        plans: list[Planned] = []
        states: list[Any] = []
        for turn in range(turns):
            target = self.target_of(world, name, (index // len(self.names)) * turns + turn)
            if draw:  # what could not be done once is not insisted on
                target = rng.choice(world.targets)
            chosen = kind if turn == special or kind == "long" else "plain"
            extra = rng.randint(least, most)
            directed = self.settings["sampler"]["policy"] == "directed"
            plans.append(plan_turn(sampler, chosen, target, extra, rng, plans, self._foreign(name), directed))
            states.append(sampler.environment.snapshot() if self.asks.by_state else None)
        return plans, states

    def _foreign(self, name: str) -> list[Mapping[str, Any]]:
        """Tools of other environments, which nothing here can stand in for."""
        own = self.worlds[name].documents
        return [
            document
            for other in self.names
            if other != name
            for tool, document in self.worlds[other].documents.items()
            if tool not in own
        ]

    def _offer(
        self, world: World, plans: Sequence[Planned], kind: str, rng: Random
    ) -> list[Mapping[str, Any]]:
        """The tools that are needed, and others, in random order."""
        needed = {call.name for plan in plans for call in plan.gold}
        needed |= {one.call.name for plan in plans for some in plan.failing.values() for one in some}
        others = [name for name in world.documents if name not in needed]
        least, most = self.settings["offered_tools"]
        size = len(world.documents) if kind == "long" else rng.randint(least, most)
        chosen = [*sorted(needed), *rng.sample(others, min(len(others), max(0, size - len(needed))))]
        rng.shuffle(chosen)
        return [world.documents[name] for name in chosen]

    def _figures(self, plans: Sequence[Planned]) -> dict[str, Any]:
        """What the card counts of the traces."""
        tools = Counter(call.name for plan in plans for call in plan.gold)
        pairs: set[str] = set()
        for plan in plans:
            called: set[str] = set()
            for call in plan.gold:
                pairs |= {f"{one}>{call.name}" for one in called}
                called.add(call.name)
        distances = [plan.sampled.distance for plan in plans if plan.sampled.distance is not None]
        return {
            "calls": [len(plan.gold) for plan in plans if plan.gold],
            "sampled_calls": sum(plan.sampled.calls for plan in plans),
            "tools": dict(sorted(tools.items())),
            "pairs": sorted(pairs),
            "distances": distances,
            "jumps": [len(plan.needs.hidden) for plan in plans if plan.gold],
        }


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
