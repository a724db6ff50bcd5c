"""`reverify`: stored answers scored again with another reward, or a fixed one, without generating."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
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
#: Settings that say which reward it is; with any other the run's own counts.
_CHOOSES = re.compile(r"(rl\.)?reward\b.*|rl\.reward_function|recipe")
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
    named = Path(str(settings.out)).expanduser() if settings.out else run.root / "reverify"
    out = Path(os.path.realpath(named))  # what a link leads to, and not the link, is replaced
    refuse(not_ours(out, _MADE, _MADE))
    reward = _reward(config, record, words)
    told = reward.told
    tally = Tally(int(settings.examples))
    try:
        with fresh_folder(out, alone=False) as folder:
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


@dataclass(frozen=True)
class _Reward:
    """What scores the answers.

    Attributes:
        function: A function of the user's own; None for the rule-based reward.
        options: Of the rule-based reward.
        everywhere: Whether the function scores evaluations as well: that of a run has only scored rollouts.
        adds_up: Whether the stored scores of rollouts are shares of their tasks' turns already.
    """

    function: str | None
    options: Mapping[str, Any]
    everywhere: bool
    adds_up: bool

    @property
    def told(self) -> dict[str, Any]:
        """What it is called."""
        return {"function": self.function} if self.function else dict(self.options)

    def __call__(self, stored: Stored) -> Scored | str:
        """Score and reason of an answer; or why it cannot be scored."""
        if self.function and (self.everywhere or stored.origin == "rollouts"):
            return _by_function(stored, self.function)
        if stored.turns is not None:
            return _by_turns(stored, self.options, self.adds_up)
        return _by_rule(stored, self.options)


def _reward(config: DictConfig, record: RunRecord, words: Sequence[str]) -> _Reward:
    """The reward of the command line or, if it names none, the run's own."""
    reward = _chosen(config, record, words)
    if reward.function:
        refuse(Problem(text) for text in own.problems(reward.function))
        with redirect_stdout(sys.stderr):
            own.loads(reward.function)
    refuse(Problem(wrong, "rl.reward") for wrong in check_options(reward.options))
    return reward


def _chosen(config: DictConfig, record: RunRecord, words: Sequence[str]) -> _Reward:
    from omegaconf import OmegaConf

    rl, evaluated = (record.stages.get(stage, {}).get("settings", {}) for stage in ("rl", "eval"))
    adds_up = rl.get("rl.reward.variant") == "progress"
    if any(_CHOOSES.fullmatch(word.partition("=")[0].lstrip("+").strip()) for word in words):
        function = str(config.rl.reward_function) if config.rl.reward_function else None
        plain = OmegaConf.to_container(config.rl.reward, resolve=True)
        assert isinstance(plain, dict)
        return _Reward(function, {str(key): value for key, value in plain.items()}, True, adds_up)
    # With a function of its own, a run notes no options of the rule-based reward, which counts for nothing.
    function, options = rl.get("rl.reward_function"), _options(rl) or _options(evaluated)
    if function:
        return _Reward(record.placed(str(function)), options, False, adds_up)
    if options:
        return _Reward(None, options, True, adds_up)
    raise UserError(
        "it is not known which reward scored the run", where="reward", fix="Choose one with reward=NAME"
    )


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the rule-based reward among the settings of a stage."""
    start = "rl.reward."
    return {key.removeprefix(start): value for key, value in settings.items() if key.startswith(start)}


def _by_rule(stored: Stored, options: Mapping[str, Any]) -> Scored | str:
    if stored.truth is None:
        return "their row is not known, so there is no gold answer to compare with"
    found = compute_score(stored.category, stored.completion, stored.truth, **options)
    result = over_long(found) if stored.cut else found
    return float(result["score"]), reason_of(result)


def _by_turns(stored: Stored, options: Mapping[str, Any], adds_up: bool) -> Scored | str:
    """Of an episode, whose environment has judged each turn: what changes is how the turns add up.

    With `progress` it is the share that was done, those never reached among the others; otherwise all or
    nothing.
    """
    turns = read_turns(stored.turns or ())
    done = bool(turns) and all(turn.done for turn in turns) and stored.score > 0
    if done and stored.score == 1:
        return 1.0, "right"
    if options.get("variant") != "progress":
        return 0.0, stored.reason
    if stored.origin == "rollouts" and adds_up:  # the number of turns of its task is part of the score
        return stored.score, stored.reason
    if stored.expected is None or stored.expected < max(1, len(turns)):
        return "how many user turns their tasks have is not known, of which progress is the share"
    return progress(turns, stored.expected), stored.reason


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
