"""One run of the data stage: read, split, measure, mix, export; each step a method, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..dialogue import render_target
from ..errors import UserError
from ..progress import report
from ..run.paths import RunDir, write_json
from .checks import passes
from .export import SIDES, RlWriter, SftWriter, write_tasks
from .ledger import Ledger
from .lengths import chosen_tokenizer, load_tokenizer, measure
from .reading import RejectedWriter, read_source
from .rows import Rejection, RowError
from .sources import source_module
from .split import mix, split
from .spool import Kept, Spool
from .steps import cut

_BATCH = 64  # conversations measured in one call of the tokenizer


class Preparation:
    """Fills a folder with everything that the stage makes.

    Args:
        config: The whole configuration, resolved, as plain dicts.
        run: The run directory, for the tiny model.
        work: The folder to fill.
    """

    def __init__(self, config: dict[str, Any], run: RunDir, work: Path) -> None:
        self.config, self.run_dir, self.work = config, run, work
        self.data, self.seed = config["data"], config["seed"]
        self.nodes = {name: self.data[name] for name in self.data["datasets"]}
        self.ledger = Ledger(list(self.nodes))

    def run(self) -> dict[str, Any]:
        """Does the work.

        Returns:
            `{"sources": the ledger, "sft": {side: rows}, "rl": {side: rows}, "tasks": {split: tasks}}`.

        Raises:
            UserError: see `stage.run`.
        """
        with (
            Spool(self.work / ".spool") as self.spool,
            RejectedWriter(self.work / "rejected.jsonl") as self.rejected,
        ):
            kept = self._read()
            train, _ = split(kept, self.data["val_share"], self.seed)
            tokenizer = self._tokenizer(train)
            if tokenizer is not None:
                kept = self._measure(kept, tokenizer)
            rows = self._export(kept)
        self.ledger.check()
        write_json(self.work / "ledger.json", self.ledger.to_json())
        if rows["sft"]["train"] and tokenizer is not None and self.data["parity"] == "sample":
            self._parity(tokenizer)
        return {"sources": self.ledger.to_json(), **rows, "tasks": self._tasks()}

    def _read(self) -> list[Kept]:
        checks = passes(self.data)
        kept: list[Kept] = []
        for name, node in self.nodes.items():
            kept += read_source(name, node, self.seed, checks, self.spool, self.ledger[name], self.rejected)
        return kept

    def _tokenizer(self, train: Sequence[Kept]) -> Any | None:
        """The tokenizer that measures: the one named, the model's own, or the tiny model's, built here."""
        path = chosen_tokenizer(self.config)
        if path == "off":
            return None
        if path is None:
            path = self._build_tiny(train)
        report(0, None, "loading the tokenizer")
        return load_tokenizer(path)

    def _measure(self, kept: Sequence[Kept], tokenizer: Any) -> list[Kept]:
        """Fills in lengths and drops what is too long; a conversation with nothing left is rejected."""
        limits = (self.data["max_prompt_tokens"], self.data["max_target_tokens"])
        left: list[Kept] = []
        for start in range(0, len(kept), _BATCH):
            report(start, len(kept), "counting tokens")
            batch = kept[start : start + _BATCH]
            steps = [[one.shown for one in cut(self.spool.read(k), self.config["protocol"])] for k in batch]
            lengths = iter(measure([step for some in steps for step in some], tokenizer))
            for one, some in zip(batch, steps, strict=True):
                one.lengths = [next(lengths) for _ in some]
                one.dropped = frozenset(
                    number
                    for number, pair in enumerate(one.lengths)
                    if any(
                        limit is not None and size > limit for size, limit in zip(pair, limits, strict=True)
                    )
                )
                if one.dropped and self.data["overlong"] == "fail":
                    self._too_long(one, min(one.dropped))
                if len(one.dropped) < len(some):
                    left.append(one)
                else:
                    self._reject_overlong(one)
        return left

    def _too_long(self, kept: Kept, number: int) -> None:
        prompt, target = kept.lengths[number]
        raise UserError(
            f"response {number} is too long: prompt {prompt}, target {target} tokens",
            where=f"{kept.source}, {kept.position}",
            mend="Raise data.max_prompt_tokens or data.max_target_tokens, or set data.overlong=drop",
        )

    def _reject_overlong(self, kept: Kept) -> None:
        trajectory = self.spool.read(kept)
        longest = max(prompt + target for prompt, target in kept.lengths)
        error = RowError("overlong", f"every response is too long; the longest has {longest} tokens")
        account = self.ledger[kept.source]
        account.kept -= 1
        account.rejected[error.reason] += 1
        opening = trajectory.turns[0].user[:400]
        self.rejected.write(
            Rejection(kept.source, kept.position, trajectory.id, error.reason, error.detail, opening)
        )

    def _export(self, kept: Sequence[Kept]) -> dict[str, dict[str, int]]:
        for one in kept:
            account = self.ledger[one.source]
            steps = [pair for number, pair in enumerate(one.lengths) if number not in one.dropped]
            account.prompt_tokens += [prompt for prompt, _ in steps]
            account.target_tokens += [target for _, target in steps]
            account.steps += one.steps - len(one.dropped)
            if one.dropped:
                account.steps_dropped["overlong"] += len(one.dropped)
        sft, rl = {}, {}
        for side, mine in zip(SIDES, split(kept, self.data["val_share"], self.seed), strict=True):
            chosen = mix(mine, self.nodes, self.seed)
            with SftWriter(self.work / "sft", side) as sft_out, RlWriter(self.work / "rl", side) as rl_out:
                for number, one in enumerate(chosen):
                    report(number, len(chosen), f"writing {side}")
                    self._write(one, sft_out, rl_out)
            sft[side], rl[side] = sft_out.rows, rl_out.rows
            for one in chosen:
                self.ledger[one.source].conversations[side] += 1
        return {"sft": sft, "rl": rl}

    def _write(self, kept: Kept, sft: SftWriter, rl: RlWriter) -> None:
        for number, one in enumerate(cut(self.spool.read(kept), self.config["protocol"])):
            if number in kept.dropped:
                continue
            sft.write(one.shown)
            if not one.closing or self.data["rl_closing_replies"] == "keep":
                rl.write(one.gold, kept.lengths[number] if kept.lengths else None)

    def _tasks(self) -> dict[str, int]:
        """Executable tasks, from the sources that have them."""
        counts: dict[str, int] = {}
        for node in self.nodes.values():
            module = source_module(node["format"])
            for name in ("heldout", "tuning") if hasattr(module, "tasks") else ():
                tasks = module.tasks(name, node[f"{name}_tasks"], self.seed, node["categories"])
                counts[name] = write_tasks(self.work / "tasks" / f"{name}.jsonl", tasks)
        return counts

    def _build_tiny(self, train: Sequence[Kept]) -> str:
        """Builds the tiny model, whose tokenizer learns from the training conversations alone."""
        from ..tiny import build

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

    def _parity(self, tokenizer: Any) -> None:
        from .parity import sample_rows, token_parity

        rows = sample_rows(self.work, self.data["parity_rows"], self.seed)
        report(0, None, "comparing the frameworks' tokens")
        difference = token_parity(rows, tokenizer, self.config["sft"]["template"])
        if difference is not None:
            raise UserError(
                difference,
                mend="SFT would learn other tokens than rollouts and evaluation show: check sft.template and"
                " the tokenizer's chat template (data.parity=off goes on regardless)",
            )
