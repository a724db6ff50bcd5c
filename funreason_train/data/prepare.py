"""One run of the data stage: read, split, measure, mix, export; each step a method, in this order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..dialogue import prompt_style, render_target
from ..dialogue.sharegpt import SIDES
from ..environments import load_environments
from ..environments.bfcl.documents import bfcl_folder
from ..errors import UserError
from ..parity.gate import FIX, proof
from ..run.files import write_json, write_text
from ..run.parallel import BATCH, Workers, chunks
from ..run.paths import RunDir
from ..run.progress import report
from .check.augment import Augment, wanted
from .check.checks import Pass, naming, passes
from .check.decontaminate import Decontaminate
from .export.rendering import Render, RlShares, write_side
from .export.split import mix, rows_of_sides, split
from .ledger import Ledger
from .measure.counting import count, loaded
from .measure.lengths import chosen_tokenizer
from .measure.overlong import too_long
from .read.reading import RejectedWriter, read_source
from .read.rows import Rejection, RowError
from .rejected import some_rejected
from .spool import Kept, Spool, read_spool
from .steps import cut

_REJECTED_SHOWN = 5  # on the card, of each source and reason


class Preparation:
    """Fills a folder with everything that the stage makes.

    Args:
        config: The whole configuration, resolved, as plain dicts.
        run: The run directory, for the tiny model.
        work: The folder to fill.

    Attributes:
        digests: SHA-256 of files that were digested while they were written.
        proof: Of token parity (see `gate.proof`); None if it was not compared.
    """

    def __init__(self, config: dict[str, Any], run: RunDir, work: Path) -> None:
        self.config, self.run_dir, self.work = config, run, work
        self.data, self.seed = config["data"], config["seed"]
        self.nodes = {name: self.data[name] for name in self.data["datasets"]}
        self.ledger = Ledger(list(self.nodes))
        self.counted = self.cached = 0
        self.digests: dict[str, str] = {}
        self.proof: str | None = None
        self._begin = partial(load_environments, config["environment_modules"])

    def run(self) -> dict[str, Any]:
        """Does the work.

        Returns:
            `{"sources": the ledger, "sft": {side: rows}, "rl": {side: rows}, "environment": {side: rows},
            "lengths": {"counted", "cached": conversations}}`.

        Raises:
            UserError: see `stage.run`.
        """
        with (
            Spool(self.work / ".spool") as self.spool,
            RejectedWriter(self.work / "rejected.jsonl") as self.rejected,
            Workers(self.data["processes"], self._begin) as self.workers,
        ):
            kept = self._augment(self._share(self._near(self._absorb(self._read()))))
            train, _ = split(kept, self.data["val_share"], self.seed)
            tokenizer = self._tokenizer(train)
            if tokenizer is not None:
                try:
                    kept = self._measure(kept, tokenizer)
                except UserError:
                    write_json(self.work / "ledger.json", self.ledger.to_json())
                    raise
            exported, rows = self._export(kept)
            self._card(exported, rows, tokenizer)
        self.ledger.check()
        write_json(self.work / "ledger.json", self.ledger.to_json())
        if rows["sft"]["train"] and tokenizer is not None and self.data["parity"] == "sample":
            self._parity(tokenizer)
        return {
            "sources": self.ledger.to_json(),
            **rows,
            "lengths": {"counted": self.counted, "cached": self.cached},
        }

    def _read(self) -> list[Kept]:
        seen: set[bytes] | None = None if self.data["dedup"] == "off" else set()
        near = self.data["dedup"] == "near" or self.data["val_share"] > 0
        checks = self._checks()
        kept: list[Kept] = []
        for name, node in self.nodes.items():
            kept += read_source(
                name,
                node,
                checks,
                seen,
                self.spool,
                self.ledger[name],
                self.rejected,
                self.workers,
                sign=near and node.get("dedup") != "exact",
            )
            if len(self.nodes) == 1 and not kept:
                continue  # the stage says that no row is left
            try:
                self.ledger[name].check_share(name, self.data["max_rejected_share"])
            except UserError:
                write_json(self.work / "ledger.json", self.ledger.to_json())
                raise
        self.spool.flush()
        return kept

    def _checks(self) -> list[Pass]:
        escaped = prompt_style(self.config["protocol"]) == "bfcl"
        own = [*naming(self.data["names"]), *passes(self.data["wrong_types"], escaped)]
        return [*own, *self._decontaminate()]

    def _decontaminate(self) -> list[Decontaminate]:
        folder = bfcl_folder()
        if self.data["decontaminate"] == "off" or folder is None:
            return []
        return [Decontaminate(folder, self.data["decontaminate_ngram"], self.data["decontaminate_share"])]

    def _absorb(self, kept: list[Kept]) -> list[Kept]:
        """Leaves of rows that are beginnings of others the longest ones (see `chains`)."""
        from .check.chains import chains

        found = chains([one.links for one in kept], [one.source for one in kept])
        changed: list[tuple[Kept, dict[int, Kept], frozenset[int]]] = []
        gone: set[int] = set()
        for chain in found:
            whole, before = kept[chain.whole], kept[chain.whole].untrained
            mine = [number for numbers in chain.parts.values() for number in numbers]
            gone.update(mine)
            whole.absorbed = tuple(kept[number] for number in mine)
            for one in whole.absorbed:
                self.ledger[one.source].absorbed += 1
            taught = {n for number in mine for n in kept[number].trained}
            whole.untrained = (before - taught) | chain.history
            if chain.thoughts or whole.untrained != before:
                lenders = {place: kept[number] for place, number in chain.thoughts.items()}
                changed.append((whole, lenders, whole.untrained))
        self._rewrite(changed)
        return [one for number, one in enumerate(kept) if number not in gone]

    def _share(self, kept: list[Kept]) -> list[Kept]:
        """Makes history of the responses that another row trains on (see `branches`)."""
        from .check.branches import shared

        found = shared([one.links for one in kept], [one.untrained for one in kept])
        changed: list[tuple[Kept, dict[int, Kept], frozenset[int]]] = []
        left: list[Kept] = []
        for one, numbers in zip(kept, found, strict=True):
            one.links = b""
            if not numbers:
                left.append(one)
                continue
            one.shared, one.untrained = numbers, one.untrained | numbers
            if one.trained:
                changed.append((one, {}, one.untrained))
                left.append(one)
            else:  # each of its steps stands in some other row
                self.ledger[one.source].absorbed += 1
        self._rewrite(changed)
        return left

    def _rewrite(self, changed: Sequence[tuple[Kept, dict[int, Kept], frozenset[int]]]) -> None:
        """Stores conversations with the thoughts of other rows, and with what is history in them."""
        from .check.chains import Rewrite

        rewrite = Rewrite(self.spool.path)
        made = (each for some in self.workers.map(rewrite, chunks(changed, BATCH)) for each in some)
        for (whole, _, _), (data, content) in zip(changed, made, strict=True):
            whole.offset, whole.size, whole.content = self.spool.append(data), len(data), content
        self.spool.flush()

    def _near(self, kept: list[Kept]) -> list[Kept]:
        """Rejects near-duplicates, or sees to it that they stand on one side of the split."""
        if sum(bool(one.signature) for one in kept) < 2:
            return kept
        from .check.branches import are_branches
        from .check.near import joined_keys, near_pairs

        report(0, None, "comparing conversations")
        drop = self.data["dedup"] == "near"
        pairs = list(
            near_pairs(
                [one.signature for one in kept],
                lambda number: self.spool.read(kept[number]),
                self.data["near_threshold"],
                drop,
                lambda first, second: are_branches(kept[first].links, kept[second].links),
            )
        )
        if not drop:
            for one, key in zip(kept, joined_keys([one.key for one in kept], pairs), strict=True):
                one.key = key
            return kept
        for pair in pairs:
            first = kept[pair.first]
            alike = f"{pair.likeness:.0%} alike to {first.source}, {first.position}"
            self._reject(kept[pair.second], RowError("near_duplicate", alike))
        dropped = {pair.second for pair in pairs}
        return [one for number, one in enumerate(kept) if number not in dropped]

    def _augment(self, kept: list[Kept]) -> list[Kept]:
        """Changes and adds training conversations as `data.augment` asks; validation stays as it was read."""
        options = self.data["augment"]
        if not wanted(options):
            return kept
        augment = Augment(self.spool.path, options, self.seed)
        train = [one for one in split(kept, self.data["val_share"], self.seed)[0] if not one.task]
        groups: dict[str, list[Kept]] = {}
        for one in train:
            groups.setdefault(one.source, []).append(one)
        work = [
            (one, augment.donors(number, group))
            for group in groups.values()
            for number, one in enumerate(group)
        ]
        made = (each for some in self.workers.map(augment, chunks(work, BATCH)) for each in some)
        changed: dict[int, Kept] = {}
        added: list[Kept] = []
        for number, ((one, _), (variants, counts)) in enumerate(zip(work, made, strict=True)):
            report(number, len(work), "augmenting")
            self.ledger[one.source].augmented.update(counts)
            for variant in variants:
                offset = self.spool.append(variant.data)
                stored = replace(variant.kept, offset=offset, size=len(variant.data), content=variant.content)
                self.ledger[one.source].augmented.update(variant.kinds)
                if variant.added:
                    added.append(stored)
                else:
                    changed[id(one)] = stored
        self.spool.flush()
        return [changed.get(id(one), one) for one in kept] + added

    def _reject(self, kept: Kept, error: RowError) -> None:
        """Rejects a conversation that had been kept, and with it the rows that it absorbed."""
        for one in kept.absorbed:
            self.ledger[one.source].absorbed -= 1
            self._reject(
                one, RowError(error.reason, f"{error.detail}; it is the beginning of {kept.position}")
            )
        trajectory = self.spool.read(kept)
        account = self.ledger[kept.source]
        account.kept -= 1
        account.rejected[error.reason] += 1
        account.forget(trajectory.meta.get("flags", ()), trajectory.meta.get("repairs", {}))
        opening = trajectory.turns[0].user[:400]
        self.rejected.write(
            Rejection(kept.source, kept.position, trajectory.id, error.reason, error.detail, opening)
        )

    def _tokenizer(self, train: Sequence[Kept]) -> str | None:
        """The tokenizer that measures: the one named, the model's own, or the tiny model's, built here."""
        path = chosen_tokenizer(self.config)
        if path == "off":
            return None
        if path is None:
            path = self._build_tiny(train)
        report(0, None, "loading the tokenizer")
        loaded(path, self.spool.path)  # a mistake shows here, and not in a worker
        return path

    def _measure(self, kept: Sequence[Kept], tokenizer: str) -> list[Kept]:
        """Fills in lengths and drops what is too long; a conversation with nothing left is rejected."""
        limits = (self.data["max_prompt_tokens"], self.data["max_target_tokens"])
        chosen = self.data["length_cache"]
        lengths, self.cached, self.counted = count(
            kept, self.spool.path, self.config["protocol"], tokenizer, chosen, self.workers
        )
        left: list[Kept] = []
        for one in kept:
            one.lengths = lengths[one.content]
            one.dropped = too_long(one.lengths, limits) - one.untrained
            if one.dropped and self.data["overlong"] == "fail":
                self._too_long(one, min(one.dropped))
            self.ledger[one.source].overlong.add(one)
            if one.trained:
                left.append(one)
            else:
                self._reject_overlong(one)
        for source, account in self.ledger.accounts.items():
            account.overlong.check(source, self.data["max_dropped_share"])
        return left

    def _too_long(self, kept: Kept, number: int) -> None:
        prompt, target = kept.lengths[number]
        raise UserError(
            f"response {number} is too long: prompt {prompt}, target {target} tokens",
            where=f"{kept.source}, {kept.position}",
            fix="Raise data.max_prompt_tokens or data.max_target_tokens, or set data.overlong=drop",
        )

    def _reject_overlong(self, kept: Kept) -> None:
        longest = max(prompt + target for prompt, target in kept.lengths)
        self._reject(
            kept, RowError("overlong", f"every response is too long; the longest has {longest} tokens")
        )

    def _export(self, kept: Sequence[Kept]) -> tuple[dict[str, list[Kept]], dict[str, dict[str, int]]]:
        """Writes all exports; returns each side's conversations, and the rows of each export and side."""
        render = Render(self.spool.path, self.config["protocol"], RlShares.of(self.data))
        exported: dict[str, list[Kept]] = {}
        for one in kept:
            account = self.ledger[one.source]
            steps = [one.lengths[number] for number in one.trained] if one.lengths else []
            account.prompt_tokens += [prompt for prompt, _ in steps]
            account.target_tokens += [target for _, target in steps]
            account.steps += len(one.trained)
            alone = one.untrained - one.shared
            for reason, numbers in (("overlong", one.dropped), ("untrained", alone), ("shared", one.shared)):
                if numbers:
                    account.steps_dropped[reason] += len(numbers)
        sft, rl, environment = {}, {}, {}
        share = self.data["val_share"]
        asked = {name: rows_of_sides(node["rows"], share) for name, node in self.nodes.items()}
        for number, (side, mine) in enumerate(zip(SIDES, split(kept, share, self.seed), strict=True)):
            nodes = {
                name: {
                    **node,
                    "rows": asked[name][number],
                    "weight": node["weight"] if side == "train" else 1,
                }
                for name, node in self.nodes.items()
            }
            there = Counter(one.source for one in mine)
            for name, node in nodes.items():
                if (missing := (node["rows"] or 0) - there[name]) > 0:
                    self.ledger[name].rows_missing[side] = missing
            chosen = exported[side] = mix(mine, nodes, self.seed)
            written = write_side(self.work, side, chosen, render, self.workers)
            rl[side], environment[side], self.digests[f"sft/{side}.json"] = written
            sft[side] = sum(len(one.trained) for one in chosen)
            counts = Counter(one.source for one in chosen)
            for source, conversations in counts.items():
                self.ledger[source].conversations[side] = conversations
        return exported, {"sft": sft, "rl": rl, "environment": environment}

    def _card(
        self, exported: Mapping[str, list[Kept]], rows: dict[str, dict[str, int]], tokenizer: str | None
    ) -> None:
        """Writes `card.md` and `card.html`."""
        from .card import choose, collect, examples, to_html, to_markdown

        chosen = choose(exported["train"], self.seed)
        encoder = None if tokenizer is None else loaded(tokenizer, self.spool.path)
        read = list(zip(chosen, read_spool(self.spool.path, chosen), strict=True))
        shown = examples(read, self.config["protocol"], encoder, self.seed)
        name = (
            tokenizer
            if self.config["data"]["tokenizer"] or self.config["model"]["path"]
            else "the tiny model's tokenizer"
        )
        counter = None if tokenizer is None else name
        _, refused = some_rejected(self.work / "rejected.jsonl", _REJECTED_SHOWN)
        card = collect(self.config, self.ledger.to_json(), rows, exported, shown, counter, refused)
        write_text(self.work / "card.md", to_markdown(card))
        write_text(self.work / "card.html", to_html(card))

    def _build_tiny(self, train: Sequence[Kept]) -> str:
        """Builds the tiny model, whose tokenizer learns from the training conversations alone."""
        from ..models.tiny import build

        report(0, None, "building the tiny model")
        build(self.run_dir.base_model, self._texts(train), self.config)
        return str(self.run_dir.base_model)

    def _texts(self, train: Sequence[Kept]) -> Iterator[str]:
        """Every text of the training side that a model reads or writes, each conversation once."""
        for one in train:
            cuts = cut(self.spool.read(one), self.config["protocol"])
            for message in cuts[-1].gold.messages:
                yield message["content"]
            for each in cuts:
                yield render_target(each.shown.thought, each.shown.answer)

    def _parity(self, path: str) -> None:
        from ..parity.tokens import sample_rows, token_parity

        rows = sample_rows(self.work, self.data["parity_rows"], self.seed)
        report(0, None, "comparing the frameworks' tokens")
        difference = token_parity(rows, loaded(path, self.spool.path))
        if difference is not None:
            raise UserError(difference, fix=FIX)
        self.proof = proof(path)
