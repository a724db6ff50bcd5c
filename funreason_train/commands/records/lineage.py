"""`lineage`: from a score back to the model, the settings and the training rows.

The chain is followed through the manifest: what a stage read was made by an earlier stage of the same run, or
lies in another run, or is given from outside. Each file's hash is held against the one that was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...pages.table import Table
from ...run.fingerprint import digest_file
from ..display import print_table, say
from .scan import one_run
from .score import Score

if TYPE_CHECKING:
    from omegaconf import DictConfig

_HERE = "RUN_DIR/"
#: The folder of an input in its run -> the stage that made it.
_MAKERS = {"synth": "synth", "data": "data", "base": "data", "sft": "sft", "rl": "rl", "export": "export"}
_TOLD = 12  # settings of a stage that are shown


@dataclass(frozen=True)
class Input:
    """A file that a stage read.

    Attributes:
        path: Where it is now.
        digest: As recorded.
        state: `as recorded`, `has changed`, `is missing`, or `not read again`.
    """

    path: str
    digest: str
    state: str

    @property
    def matches(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state in ("as recorded", "not read again")


@dataclass(frozen=True)
class Link:
    """One stage of the chain.

    Attributes:
        run: Its run directory.
        stage: Its name.
        state: In the manifest.
        fingerprint: Of settings and inputs.
        origin: Code, lock, template, machine.
        settings: That decide it.
        inputs: What it read.
        result: What it made, in figures.
        rows: The training rows' files with what is in them, for the stage that made them.
        other: Why this is the record of another evaluation than the score's; empty if it is not.
    """

    run: str
    stage: str
    state: str
    fingerprint: str
    origin: Mapping[str, Any]
    settings: Mapping[str, Any]
    inputs: tuple[Input, ...]
    result: Mapping[str, Any]
    rows: tuple[str, ...] = field(default=())
    other: str = ""

    @property
    def wrong(self) -> list[str]:
        """What does not match any more."""
        found = [f"{one.path} {one.state}" for one in self.inputs if not one.matches]
        if self.state != "done":
            found.append(f"the stage is not done ({self.state})")
        if self.other:
            found.append(self.other)
        return found


def lineage(config: DictConfig) -> None:
    """Prints the chain of `lineage.score`.

    Raises:
        UserError: if the file is no score of a run, or the run's record cannot be read.
    """
    settings = config.lineage
    if not settings.score:
        raise UserError(
            "no score is named", where="lineage.score", fix="Write lineage RUN_DIR/eval/MODEL/scores.json"
        )
    score = Score.of(Path(str(settings.score)).expanduser().absolute())
    links = chain(score.path, bool(settings.hashes))
    if settings.format == "json":
        values = [{**asdict(link), "does_not_match": link.wrong} for link in links]
        told = {"score": str(score.path), "model": score.model, "figures": dict(score.figures)}
        print(json.dumps({**told, "chain": values}, indent=2))
        return
    say(f"score: {score.path}")
    figures = ", ".join(f"{name} {value:g}" for name, value in score.figures.items())
    say(f"  {figures} (model {score.model})")
    for link in links:
        _print(link)
    wrong = [f"{link.stage}: {text}" for link in links for text in link.wrong]
    if wrong:
        say("What no longer matches what was recorded:\n" + "\n".join(f"- {text}" for text in wrong))
    else:
        say("Every file of the chain is as it was recorded.")


def chain(score: Path, hashes: bool = True) -> list[Link]:
    """The stages behind a score, the evaluation first, the data last.

    Args:
        score: A `scores.json` below `RUN_DIR/eval`.
        hashes: Whether files are read again.

    Raises:
        UserError: if the file lies in no run, or a manifest cannot be read.
    """
    scored = Score.of(score)
    found: list[Link] = []
    waiting: list[tuple[Path, str]] = [(scored.run, "eval")]
    seen: set[tuple[Path, str]] = set()
    while waiting:
        root, stage = waiting.pop(0)
        if (root, stage) in seen:
            continue
        seen.add((root, stage))
        record = one_run(str(root)).stages.get(stage)
        if record is None:
            continue
        model = scored.model if stage == "eval" and root == scored.run else None
        link = _link(root, stage, record, hashes, model)
        if model is not None and (other := scored.other_evaluation(record)):
            link = replace(link, other=other)
            if scored.place:  # where the score itself says that its model was
                waiting += _makers(root, f"{_portable(scored.place, root)}/config.json", stage)
        found.append(link)
        waiting += _before(root, link, record, model)
    if not found:
        raise UserError(
            "the run has no record of an evaluation",
            where=str(scored.run / "manifest.json"),
            fix="Run eval in it again; the score alone does not tell where it comes from",
        )
    return found


def _link(root: Path, stage: str, record: Mapping[str, Any], hashes: bool, model: str | None) -> Link:
    chosen = {
        path: entry
        for path, entry in record.get("inputs", {}).items()
        if model is None or _concerns(root, path, record, model)
    }
    return Link(
        run=str(root),
        stage=stage,
        state=str(record.get("state", "-")),
        fingerprint=str(record.get("fingerprint", "-")),
        origin=record.get("origin", {}),
        settings=record.get("settings", {}),
        inputs=tuple(_input(root, path, entry, hashes) for path, entry in chosen.items()),
        result={
            key: value
            for key, value in (record.get("result") or {}).items()
            if isinstance(value, (int, float, str)) and key != "headline"
        },
        rows=tuple(_rows(root, record)) if stage == "data" else (),
    )


def _concerns(root: Path, path: str, record: Mapping[str, Any], model: str) -> bool:
    """Whether an input of an evaluation of several models belongs to the one that was scored."""
    models = {
        key.removeprefix("eval.models."): str(value)
        for key, value in record.get("settings", {}).items()
        if key.startswith("eval.models.")
    }
    others = [place for name, place in models.items() if name != model]
    own = models.get(model)
    if own and (path == own or path.startswith(f"{own}/")):
        return True
    return not any(path == place or path.startswith(f"{place}/") for place in others)


def _before(
    root: Path, link: Link, record: Mapping[str, Any], model: str | None
) -> Iterator[tuple[Path, str]]:
    """The stages that made a stage's inputs, in this run and in others."""
    for path in record.get("inputs", {}):
        if model is not None and not _concerns(root, path, record, model):
            continue
        yield from _makers(root, path, link.stage)
    for parent in (link.origin.get("parents") or ()) if isinstance(link.origin, Mapping) else ():
        if model is None and (Path(parent["run"]) / "manifest.json").is_file():
            yield Path(parent["run"]), str(parent["stage"])


def _makers(root: Path, path: str, stage: str) -> Iterator[tuple[Path, str]]:
    """The stage that made a file which another one read, in this run or another."""
    if path.startswith(_HERE):
        folder = path.removeprefix(_HERE).split("/")[0]
        if folder in _MAKERS and _MAKERS[folder] != stage:
            yield root, _MAKERS[folder]
    elif (maker := _own_out(root, Path(path))) and maker != stage:
        yield root, maker
    else:
        yield from _elsewhere(Path(path), stage)


def _portable(path: str, root: Path) -> str:
    """A path in the run as the manifest has it."""
    return f"{_HERE}{Path(path).relative_to(root)}" if Path(path).is_relative_to(root) else path


def _own_out(root: Path, path: Path) -> str | None:
    """The stage of the same run whose result lies around a file, where the user chose the place (`out=`)."""
    for name, record in one_run(str(root)).stages.items():
        result = record.get("result") or {}
        place = result.get("out") or (result.get("model") if name == "export" else None)
        if place and path.is_relative_to(str(place)):
            return name
    return None


def _elsewhere(path: Path, stage: str) -> Iterator[tuple[Path, str]]:
    """The run that a file outside of this one belongs to: around it, or its record in `DIR.run`."""
    for folder in path.parents:
        if (folder / "manifest.json").is_file() and (folder / "logs").is_dir():
            name = path.relative_to(folder).parts[0]
            if name in _MAKERS:
                yield folder, _MAKERS[name]
            return
        beside = folder.parent / f"{folder.name}.run"
        if (beside / "manifest.json").is_file():
            for maker in ("synth", "data", "export"):
                if maker != stage and maker in one_run(str(beside)).stages:
                    yield beside, maker
            return


def _input(root: Path, path: str, entry: Mapping[str, Any], hashes: bool) -> Input:
    place = root / path.removeprefix(_HERE) if path.startswith(_HERE) else Path(path)
    digest = str(entry.get("digest", ""))
    try:
        size = place.stat().st_size
    except OSError:
        return Input(str(place), digest, "as recorded" if digest == "missing" else "is missing")
    if size != entry.get("bytes"):
        return Input(str(place), digest, "has changed")
    if not hashes:
        return Input(str(place), digest, "not read again")
    try:
        same = digest_file(place) == digest
    except OSError:
        return Input(str(place), digest, "cannot be read")
    return Input(str(place), digest, "as recorded" if same else "has changed")


def _rows(root: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """The files of training rows that the data stage made, with the sources they are from."""
    out = (record.get("result") or {}).get("out") if record.get("settings", {}).get("data.out") else None
    folder = Path(str(out)) if out and Path(str(out)).is_dir() else root / "data"
    for name in ("sft/train.json", "rl/train.parquet"):
        file = folder / name
        yield f"{file} ({digest_file(file)[:12]})" if file.is_file() else f"{file} is missing"
    for source, one in ((record.get("result") or {}).get("sources") or {}).items():
        if isinstance(one, Mapping):
            yield f"{source}: {one.get('kept')} of {one.get('read')} conversations, {one.get('steps')} rows"


def _print(link: Link) -> None:
    git = (link.origin.get("git") or {}) if isinstance(link.origin, Mapping) else {}
    commit = (
        f", commit {str(git['commit'])[:10]}{' with changes' * bool(git.get('dirty'))}"
        if git.get("commit")
        else ""
    )
    say(f"\n{link.stage} in {link.run}: {link.state}{commit}, fingerprint {link.fingerprint[:12]}")
    shown = {key: value for key, value in link.settings.items() if not isinstance(value, (dict, list))}
    told = list(shown.items())[:_TOLD]
    more = (
        f" … and {len(link.settings) - len(told)} more in its manifest"
        if len(link.settings) > len(told)
        else ""
    )
    say("  settings: " + ", ".join(f"{key}={value}" for key, value in told) + more)
    if link.result:
        say("  result: " + ", ".join(f"{key} {value}" for key, value in list(link.result.items())[:_TOLD]))
    if link.inputs:
        rows = tuple((one.path, one.digest.removeprefix("sampled:")[:12], one.state) for one in link.inputs)
        print_table(Table("", ("it read", "hash", ""), rows, texts=3))
    for row in link.rows:
        say(f"  rows: {row}")
