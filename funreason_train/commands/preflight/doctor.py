"""`funreason-train doctor`: whether nodes, reward, rows and tokenizer are fit, before any GPU is booked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cluster import Profile
from ...cluster.preflight import Finding, Level, by_level
from ...cluster.profile import launch_problem
from ...cluster.topology import node_commands
from ...environments import load_environments
from ...environments.bfcl.sessions import limit_calls
from ...errors import UserError
from ...pages.table import Table
from ...reward import own
from ...reward.options import EPISODE_VARIANTS
from ...reward.sample import Audit, audit_file, read_spread
from ...run.paths import RunDir
from ...run.process import ChildFailed, call_in_process
from ..display import console, print_table, say
from ..planning.dry_run import words_for_nodes
from ..stages import stage_of
from .look import look, refuse_errors, show
from .needs import needs

if TYPE_CHECKING:
    from omegaconf import DictConfig

_TRIED = 200  # rows that a function of the user's own is called with


def doctor(config: DictConfig, run: RunDir) -> None:
    """Looks at every node, at the reward and at the tokenizer, and prints what was found.

    Raises:
        UserError: if anything would stop or spoil a run.
    """
    nodes = look(config, run, _stages(config))
    found = by_level([*nodes, *_reward(config, run), *_tokenizer(config)])
    here = Profile.of(config.cluster).joins() is None
    show(found, "This machine" if here else "Every node")
    refuse_errors(found)
    console.print("No problems found.")


def show_plan(config: DictConfig, run: RunDir, words: Sequence[str]) -> None:
    """`dry_run=true`: which machines would be looked at, how, and at what; looks at none."""
    profile = Profile.of(config.cluster)
    if missing := launch_problem(profile):
        raise UserError(missing)
    wanted = needs(config, run, _stages(config))
    machines = f"{profile.nodes} machines" if profile.nodes > 1 else "one machine"
    gpus = f", {profile.gpus_per_node} GPUs each" if profile.gpus_per_node else ""
    say(f"doctor would look at {machines} (cluster={profile.name}{gpus}) and there at")
    for what, asked in (
        ("folders", wanted.asked["folders"]),
        ("files", wanted.asked["files"] or ["none: there is neither model nor data yet"]),
        ("addresses", wanted.asked["hosts"]),
    ):
        for one in asked:
            say(f"  {what}: {one}")
    console.rule("to run", align="left")
    say("\n".join(node_commands(config.cluster, "doctor", words_for_nodes(words), Path.cwd())))
    say("Dry run: nothing was looked at. The same command without dry_run=true does it.")


def _stages(config: DictConfig) -> list[str]:
    """The stages of the run that are done on nodes."""
    return [name for name in config.pipeline.stages if stage_of(name).nodes]


def _reward(config: DictConfig, run: RunDir) -> Iterator[Finding]:
    """What the reward does on the rows of an RL export, if there is one."""
    from omegaconf import OmegaConf

    file = Path(config.doctor.reward or run.data / "rl" / "train.parquet").expanduser().absolute()
    if not file.is_file():
        if config.doctor.reward:
            yield _of_reward("error", f"{file}: there is no such file", "Name an RL export with reward=FILE")
        else:
            yield _of_reward("unchecked", "the run has no RL rows yet; reward=FILE names some")
        return
    if config.rl.reward_function is not None:
        yield from _own_reward(file, str(config.rl.reward_function), config.doctor.rows)
        return
    options = OmegaConf.to_container(config.rl.reward, resolve=True)
    assert isinstance(options, dict)
    # As in the process of a stage: tasks may be of environments of the user's own.
    load_environments(config.environment_modules)
    limit_calls(config.call_limits)
    result = _audit(file, config.doctor.rows, {str(name): value for name, value in options.items()})
    _show(result)
    if wrong := result.sentence():
        yield _of_reward("error", wrong)
    elif not result.rows:
        yield _of_reward("error", f"{file}: holds no row")
    else:
        yield _of_reward(
            "fine",
            f"{result.rows} rows of {file.name}: gold gets the most, trivial (reward-hacking) answers do not",
        )


def _own_reward(file: Path, function: str, rows: int | None) -> Iterator[Finding]:
    """Whether a function of the user's own scores the rows; which answers it prefers is its own affair."""
    wrong = own.problems(function)
    yield from (_of_reward("error", one) for one in wrong)
    if wrong:
        return
    _, found = read_spread(file, ["data_source", "reward_model", "extra_info"], rows or _TRIED)
    asked = [
        {
            "data_source": row["data_source"],
            "solution_str": "A thought.\n</think>\n\n[f(a=1)]",
            "ground_truth": (row["reward_model"] or {}).get("ground_truth"),
            "extra_info": row["extra_info"],
        }
        for row in found
    ]
    try:
        count = call_in_process("funreason_train.reward.own:try_out", {"function": function, "rows": asked})
    except (UserError, ChildFailed) as error:
        yield _of_reward("error", str(error))
        return
    yield _of_reward("fine", f"{function} scores {count} rows of {file.name}; rl.reward.* does not count")


def _of_reward(level: Level, what: str, fix: str = "") -> Finding:
    return Finding(level, "reward", None, what, fix)


def _audit(file: Path, rows: int | None, options: dict[str, Any]) -> Audit:
    """Scores answers; where the file holds executable tasks, plays their gold calls as well.

    A reward for whole tasks scores nothing else.
    """
    from ...rl.settings.tasks import audit_tasks, holds_tasks

    if not holds_tasks(file):
        return audit_file(file, rows, **options)
    console.print("The rows are executable tasks: their gold calls are played.")
    played = audit_tasks(file, rows)
    if options.get("variant") in EPISODE_VARIANTS:
        return played
    scored = audit_file(file, rows, **options)
    return replace(scored, findings=scored.findings + played.findings)


def _show(result: Audit) -> None:
    bad = Counter(source for _, source in {(one.row, one.data_source) for one in result.findings})
    rows = tuple((name, str(count), str(bad[name])) for name, count in sorted(result.sources.items()))
    head = ("data_source", "rows", "rows with findings")
    print_table(Table(f"Reward on {result.rows} rows of {result.file.name}", head, rows))
    for finding in result.findings:
        say(f"row {finding.row} ({finding.data_source}), {finding.case}: {finding.message}")


def _tokenizer(config: DictConfig) -> Iterator[Finding]:
    """What the tokenizer does to an answer's tags."""
    name = str(config.doctor.tokenizer or config.rl.model)
    if config.doctor.tokenizer is None and not Path(name).is_dir():
        yield Finding(
            "unchecked", "tokenizer", None, "the model is not there yet; tokenizer=FOLDER names one"
        )
        return
    from transformers import AutoTokenizer

    from ...rl.rollout.tokens import lost_in_decoding

    try:
        lost = lost_in_decoding(AutoTokenizer.from_pretrained(name))
    except Exception as error:  # a damaged file may break it in any way
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        fix = "Copy the tokenizer again from where the model came from"
        yield Finding("error", "tokenizer", None, f"{name}: no tokenizer could be loaded ({said})", fix)
        return
    if lost:
        said = f"{name}: loses parts of an answer, which the reward then cannot see: {lost[0]!r}"
        yield Finding("error", "tokenizer", None, said)
    else:
        yield Finding("fine", "tokenizer", None, f"the tags of an answer survive decoding in {name}")
