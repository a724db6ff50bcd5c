"""The maker `phases`: learns the graphs, makes samples until enough are accepted, writes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..environments.mcp import PREFIX
from ..errors import UserError
from ..run.files import write_json
from ..run.fingerprint import digests, fingerprint
from ..run.progress import report
from .agents import prompts
from .agents.account import Account
from .explore.graph import Graph
from .explore.seen import changes
from .explore.targets import Targets
from .names import COUNTS
from .settings import COVERAGE, load_all
from .work.cluster import elsewhere
from .work.guard import environment_of
from .work.inputs import files_read, servers_used
from .work.learning import explore, prepare
from .work.rounds import Rounds, rounds
from .work.spending import Spending
from .work.store import SPLITS, Store, Tally
from .work.workers import CHUNK, Chunk, Made

#: Settings that say how much is made or by whom, and not what a sample is.
_ASIDE = (
    *COUNTS,
    "out",
    "processes",
    "endpoint",
    "key_variable",
    "limits",
    "vllm",
    "cassette",
    "maker",
    "embedded",
    "bfcl_world",
)
_STORE = 3  # version of the store's form; another one's file is not read
_REASONS = 8  # that are told where too few samples were accepted
_MOST = 20  # samples that may be tried for each that is wanted
_PARTS = 16  # of what is wanted, of which a worker makes one at a time where that is less than a chunk
_SPLITS = dict(zip(SPLITS, COUNTS, strict=True))

Spread = Callable[[Mapping[str, Any], Iterator[Chunk]], Iterator[Made]]


class Phases:
    """One run.

    Args:
        settings: The section `synth`, as plain values.
        seed: Of everything that is drawn.
        out: Where the files go; the store lies there until all is written.
        spread: Makes chunks of samples (`work.workers`, `work.threads`).
        account: What agents that are models may spend; None for offline ones.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        seed: int,
        out: Path,
        spread: Spread,
        account: Account | None = None,
    ) -> None:
        self.settings, self.seed, self.out, self.spread = settings, seed, out, spread
        self.account = account
        self.decides = {key: value for key, value in settings.items() if key not in _ASIDE}
        self.decides |= servers_used(settings)
        if account is not None:
            self.decides["prompts"] = prompts.digests()
        self.key = fingerprint(
            {"synth": self.decides, "seed": seed, "store": _STORE}, digests(files_read(settings))
        )[:16]
        self.graphs: dict[str, Graph] = {}
        self.sampling: dict[str, Any] = {}
        self.changes: dict[str, Any] = {}
        self.learnt: dict[str, Any] = {}
        self.left_out: dict[str, dict[str, str]] = {}
        self.apart: list[str] = []
        self.targets: dict[str, list[str]] | None = None
        self.spending: Spending | None = None

    @property
    def store_path(self) -> Path:
        """The store of this very job."""
        return self.out / f".samples-{self.key}.sqlite"

    def run(self) -> dict[str, Any]:
        """Does the work; writes everything but the manifest.

        Returns:
            `{"conversations": count, "tasks": {split: count}, "funnel": …}`.

        Raises:
            UserError: an environment that cannot be had, targets that cannot be read, too few accepted.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with Store(self.store_path, self.key) as store:
            if self.account is not None:
                wanted = sum(self.settings[key] for key in _SPLITS.values())
                self.spending = Spending(store, self.account, wanted)
            self._learn(store)
            for split, key in _SPLITS.items():
                store.ends[split] = self._make(store, split, self.settings[key])
            grown = self._rounds(store).after(SPLITS[0], store.ends[SPLITS[0]])
            self.changes = {name: changes(self.graphs[name], graph) for name, graph in grown.items()}
            self.graphs = grown
            written = self._write(store, store.ends)
        return written

    # -- phase I -------------------------------------------------------------------------------------------

    def _learn(self, store: Store) -> None:
        """The graph of each environment, learnt once for a store.

        What can be refused is refused for all of them before the first is explored, which may take minutes.
        """
        load_all(self.settings["modules"], self.settings["servers"], self.settings["cassette"])
        held = {name: store.note(f"graph/{name}") for name in dict.fromkeys(self.settings["environments"])}
        tools = {
            name: tuple(json.loads(graph)["graph"]["tools"]) if graph else prepare(store, name, self.settings)
            for name, graph in held.items()
        }
        if self.settings["targets"] != COVERAGE:
            self.targets = Targets.read(self.settings["targets"]).among(tools)
        for number, (name, graph) in enumerate(held.items()):
            if graph is None:
                told = partial(_learning, number, len(held), name)
                explored = explore(name, self.settings, self.seed, told)
                if "learnt" in explored:
                    store.keep(f"learnt/{name}", json.dumps(explored.pop("learnt")))
                graph = json.dumps(explored)
                store.keep(f"graph/{name}", graph)
            value = json.loads(graph)
            self.graphs[name] = Graph.from_json(value["graph"])
            self.sampling[name], self.left_out[name] = value["sampling"], value["left_out"]
            if value.get("apart"):
                self.apart.append(name)
            if known := store.note(f"learnt/{name}"):
                self.learnt[name] = json.loads(known)
                kind: Any = environment_of(name)
                kind.adopt(self.learnt[name])
        if self.targets is not None:
            self._reachable(self.targets)

    def _reachable(self, targets: Mapping[str, list[str]]) -> None:
        """Says which targets no call ever reached; refuses where none is left."""
        every = {(name, tool) for name, tools in targets.items() for tool in tools}
        never = sorted(
            (name, tool)
            for name, tool in every
            if tool in self.graphs[name].tools and not self.graphs[name].tools[tool].ok
        )
        told = ", ".join(f"{tool} of {name}" for name, tool in never[:5])
        if every and len(never) == len(every):
            raise UserError(
                f"no target was ever reached while the graphs were learnt: {told}",
                where=f"synth.targets={self.settings['targets']}",
                fix="Name other tools, or raise synth.graph.episodes",
            )
        if never:
            print(f"left out of the targets, since no call of them ever succeeded: {told}", flush=True)

    # -- samples -------------------------------------------------------------------------------------------

    def job(self, split: str, number: int, graphs: Mapping[str, Any]) -> dict[str, Any]:
        """What workers are told about one round.

        Args:
            split: One of `SPLITS`.
            number: Of the round.
            graphs: Environment -> its graph in this round, as JSON.
        """
        return {
            "key": f"{self.key}/{split}/{number}",
            "seed": self.seed,
            "split": split,
            "settings": self.decides,
            "graphs": graphs,
            "targets": self.targets,
            **elsewhere(self.settings),
            "learnt": self.learnt,
            "apart": self.apart,
            "agents": {"kind": self.settings["agents"], "errors": self.settings["offline"]["errors"]},
        }

    def _rounds(self, store: Store) -> Rounds:
        return Rounds(store, self.graphs, self.settings["graph"]["round"])

    def _make(self, store: Store, split: str, wanted: int) -> int:
        """Makes samples until enough are accepted; returns the number after the last one that counts."""
        if not wanted:
            return 0
        limit = _MOST * wanted + 20 * CHUNK
        tally = Tally(store, split, wanted)

        def chunks(numbers: range) -> Iterator[Chunk]:
            # Which changes nothing but how much is made in vain: what is under way when there is enough.
            size = max(1, min(CHUNK, wanted // _PARTS))
            for start in range(numbers.start, numbers.stop, size):
                if tally.end is not None:
                    return
                if missing := store.missing(split, range(start, min(start + size, numbers.stop))):
                    yield missing

        try:
            for number, numbers in enumerate(rounds(self.settings["graph"]["round"], limit)):
                if tally.end is not None:
                    break
                graphs = self._rounds(store).graphs(split, number)
                # The first chunk of a slow server takes minutes.
                report(min(wanted, store.accepted(split)), wanted, f"making {split} conversations")
                for made in self.spread(self.job(split, number, graphs), chunks(numbers)):
                    store.add(split, made)
                    done = min(wanted, tally.after(made))
                    told = self.spending.after(made) if self.spending is not None else ""
                    told += "; ending those under way" if tally.end is not None else ""
                    report(done, wanted, f"{done} of {wanted} {split} conversations{told}")
        except UserError as error:
            store.forget_faults(split)
            done = store.accepted(split)
            what = f"{error.what}; {done} of {wanted} {split} conversations are finished"
            if lost := self._lost(store, split, limit):
                what += f" (draws were lost to {lost})"
            raise UserError(what, where=error.where, fix=error.fix) from None
        finally:
            if self.spending is not None:
                self.spending.keep()
        end = store.end(split, wanted)
        if end is None:
            raise self._too_few(store, split, wanted, limit)
        return end

    def _too_few(self, store: Store, split: str, wanted: int, limit: int) -> UserError:
        lost = self._lost(store, split, limit)
        return UserError(
            f"only {store.accepted(split)} of {wanted} {split} conversations were accepted ({lost})",
            fix="Ask for fewer, for other kinds (synth.kinds) or targets, or raise synth.draws and "
            "synth.graph.episodes.",
        )

    def _lost(self, store: Store, split: str, limit: int) -> str:
        """The reasons for which most draws were lost, most frequent first."""
        lost: Counter[str] = Counter()
        for told in store.told(split, limit):
            lost.update(told["lost"])
        return ", ".join(f"{reason} {count}" for reason, count in lost.most_common(_REASONS))

    # -- files ---------------------------------------------------------------------------------------------

    def _write(self, store: Store, ends: Mapping[str, int]) -> dict[str, Any]:
        from .work.card import write_card
        from .work.funnel import funnel_of

        conversations = self._lines(store, "train", ends["train"], "row", self.out / "conversations.jsonl")
        tasks = {
            split: self._lines(store, split, ends[split], "task", self.out / "tasks" / f"{split}.jsonl")
            for split in reversed(SPLITS[1:])
        }
        funnel = funnel_of(store.told("train", ends["train"]), self.graphs)
        funnel["left_out"], funnel["while_sampling"] = self.left_out, self.changes
        if self.spending is not None:
            funnel["asked"] = self.spending.to_json()
        write_json(self.out / "funnel.json", funnel)
        graphs = {
            name: {**graph.to_json(), "sampling": self.sampling[name], "while_sampling": self.changes[name]}
            for name, graph in self.graphs.items()
        }
        write_json(self.out / "graph.json", {"format": 1, "environments": graphs})
        write_card(
            self.out / "card.html", self.decides, self.graphs, self.sampling, funnel, store, ends["train"]
        )
        return {
            "conversations": conversations,
            "tasks": tasks,
            "funnel": funnel,
            "left_out": {name: tools for name, tools in self.left_out.items() if name.startswith(PREFIX)},
        }

    def _lines(self, store: Store, split: str, end: int, column: str, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        count = 0
        with temporary.open("w", encoding="utf-8") as file:
            for text in store.lines(split, end, column):
                file.write(text)
                count += 1
        temporary.replace(path)
        return count


def _learning(done: int, every: int, name: str, told: str) -> None:
    report(done, every, f"learning the graph of {name}: {told}")
