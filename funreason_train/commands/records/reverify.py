"""`reverify`: stored answers scored again with another reward, or a fixed one, without generating."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...environments.play import FAULT
from ...errors import Problem, UserError, refuse
from ...reward import check_options, compute_score, own, progress, read_turns, reason_of
from ...rl.train.records import over_long
from ...run.files import fresh_folder, not_ours, write_json, write_text
from ...run.paths import RunDir
from ..display import print_table, say
from . import stored as source
from .scan import RunRecord, one_run
from .stored import Stored
from .tally import Tally

if TYPE_CHECKING:
    from omegaconf import DictConfig

_MADE = ("changes.jsonl", "summary.json", "table.md")
_CHOOSES = ("reward=", "rl.reward", "+recipe=")
Scored = tuple[float, str]


def reverify(config: DictConfig, run: RunDir, words: Sequence[str] = ()) -> None:
    """Scores a run's stored answers again; prints what changed and writes it to `RUN_DIR/reverify`.

    Args:
        config: With the reward.
        run: The run.
        words: Of the command; without a reward among them, that of the run is taken, for a reward that was
            fixed since.

    Raises:
        UserError: if there is nothing stored, or the reward cannot be used.
    """
    settings = config.reverify
    record = one_run(str(run.root))
    out = Path(str(settings.out)).expanduser().absolute() if settings.out else run.root / "reverify"
    refuse(not_ours(out, _MADE, _MADE))
    reward, told = _reward(config, record, words)
    tally = Tally(int(settings.examples))
    try:
        with fresh_folder(out) as folder:
            with (folder / "changes.jsonl").open("w", encoding="utf-8") as changes:
                for stored in _all(record, list(settings.of)):
                    _again(stored, reward, tally, changes.write)
            if not tally.count and not tally.unjudged:
                raise UserError(
                    "there are no stored answers",
                    where=str(run.root),
                    fix="rl keeps them with rl.keep_rollouts=true, eval always does",
                )
            write_json(folder / "summary.json", {**tally.to_json(), "reward": told})
            tables = (tally.by_category(), tally.by_reason())
            write_text(folder / "table.md", "\n\n".join(table.markdown() for table in tables) + "\n")
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror})", where=str(out), fix="Give another out=DIR"
        ) from None
    if settings.format == "json":
        print(json.dumps({**tally.to_json(), "reward": told}, indent=2))
        return
    say(f"reward: {', '.join(f'{key}={value}' for key, value in told.items())}")
    for table in tables:
        if table.rows:
            print_table(table)
    say(f"{tally.changed:,} of {tally.count:,} scores changed.")
    for why, count in tally.unjudged.items():
        say(f"{count:,} answers were left out: {why}")
    say(f"Every change: {out / 'changes.jsonl'}")


def _all(record: RunRecord, of: Sequence[str]) -> Iterator[Stored | str]:
    if "rollouts" in of:
        yield from source.rollouts(record.run)
    if "eval" in of:
        yield from source.evaluations(record)


def _again(
    stored: Stored | str, reward: Callable[[Stored], Scored | str], tally: Tally, write: Callable[[str], Any]
) -> None:
    if isinstance(stored, str):
        tally.unjudged[stored] += 1
        return
    found = "their environment failed" if stored.reason == FAULT else reward(stored)
    if isinstance(found, str):
        tally.unjudged[found] += 1
        return
    score, reason = found
    if tally.add(stored, score, reason):
        line = {
            "of": stored.origin,
            "where": stored.where,
            "row": stored.row,
            "category": stored.category,
            "before": stored.score,
            "after": score,
            "reason_before": stored.reason,
            "reason_after": reason,
            "answer": stored.completion,
        }
        write(json.dumps(line, ensure_ascii=True) + "\n")


def _reward(
    config: DictConfig, record: RunRecord, words: Sequence[str]
) -> tuple[Callable[[Stored], Scored | str], dict[str, Any]]:
    """What scores an answer (or says why it cannot), and what it is called."""
    function, options = _chosen(config, record, words)
    if function:
        refuse(Problem(text) for text in own.problems(function))
        with redirect_stdout(sys.stderr):
            own.loads(function)
        return lambda stored: _by_function(stored, function), {"function": function}
    refuse(Problem(wrong, "rl.reward") for wrong in check_options(options))
    return lambda stored: _by_rule(stored, options), dict(options)


def _chosen(config: DictConfig, record: RunRecord, words: Sequence[str]) -> tuple[str | None, dict[str, Any]]:
    from omegaconf import OmegaConf

    if any(word.startswith(_CHOOSES) for word in words):
        function = str(config.rl.reward_function) if config.rl.reward_function else None
        plain = OmegaConf.to_container(config.rl.reward, resolve=True)
        assert isinstance(plain, dict)
        return function, {str(key): value for key, value in plain.items()}
    for stage in ("rl", "eval"):
        settings = record.stages.get(stage, {}).get("settings", {})
        options = {
            key.removeprefix("rl.reward."): value
            for key, value in settings.items()
            if key.startswith("rl.reward.")
        }
        if options:
            function = settings.get("rl.reward_function")
            return (str(function) if function else None), options
    raise UserError(
        "it is not known which reward scored the run", where="reward", fix="Choose one with reward=NAME"
    )


def _by_rule(stored: Stored, options: Mapping[str, Any]) -> Scored | str:
    if stored.turns is not None:
        return _by_turns(stored, options)
    if stored.truth is None:
        return "their row is not known, so there is no gold answer to compare with"
    found = compute_score(stored.category, stored.completion, stored.truth, **options)
    result = over_long(found) if stored.cut else found
    return float(result["score"]), reason_of(result)


def _by_turns(stored: Stored, options: Mapping[str, Any]) -> Scored | str:
    """Of an episode, whose environment has judged each turn: what changes is how the turns add up.

    With `progress` it is the share that was done, otherwise all or nothing.
    """
    turns = read_turns(stored.turns or ())
    done = bool(turns) and all(turn.done for turn in turns) and stored.score > 0
    if options.get("variant") != "progress":
        return (1.0, "right") if done and stored.score == 1 else (0.0, stored.reason)
    if stored.origin == "rollouts":  # the number of turns of its task is part of the stored score
        return stored.score, stored.reason
    return (progress(turns) if turns else 0.0), "right" if done else stored.reason


def _by_function(stored: Stored, function: str) -> Scored | str:
    if stored.turns is None and stored.truth is None:
        return "their row is not known, so there is no gold answer to compare with"
    extra = {"id": stored.row} | ({"turns": list(stored.turns)} if stored.turns is not None else {})
    truth = source.as_ground_truth(stored)
    with redirect_stdout(sys.stderr):  # whatever the function prints; the output is for programs
        found = own.score(stored.category, stored.completion, truth, extra, function=function)
    if stored.cut:
        found = over_long(found)
    return float(found["score"]), "the function failed" if found["error"] else "own function"
