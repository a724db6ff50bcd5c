"""The console script `funreason-train COMMAND [key=value …]`.

Composing, printing help, checking and dry runs import no framework; a stage runs in a process of its own.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import UserError
from ..run.files import is_full

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ..run.paths import RunDir


@dataclass(frozen=True)
class Command:
    """A command: its section of the configuration, one line of help, an example, and what it does.

    `run` takes the configuration, the run directory and the words of the command.

    A word without an equals sign, if the command takes one, is the value of the key `word`.
    """

    section: str
    summary: str
    example: str
    run: Callable[[DictConfig, RunDir, Sequence[str]], None]
    word: str = ""


def _stage(name: str) -> Callable[[DictConfig, RunDir, Sequence[str]], None]:
    def run(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
        from .pipeline import run_stages

        run_stages([name], config, run_dir, command=words)

    return run


def _pipeline(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .pipeline import run_stages

    run_stages(list(config.pipeline.stages), config, run_dir, summarise=True, command=words)


def _doctor(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .preflight.doctor import doctor

    doctor(config, run_dir)


def _runs(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .records.runs import runs

    runs(config, words)


def _lineage(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .records.lineage import lineage

    lineage(config)


def _reverify(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .records.reverify import reverify

    reverify(config, run_dir, words)


def _plan(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .planning.plan import plan

    plan(config, run_dir)


def _serve_env(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .serve_env import serve_env

    serve_env(config, run_dir)


def _report(config: DictConfig, run_dir: RunDir, words: Sequence[str]) -> None:
    from .report.command import report

    report(config, run_dir)


COMMANDS = {
    "synth": Command(
        "synth",
        "make conversations and executable tasks in live environments, every call executed",
        "funreason-train synth maker=embedded trajectories=2000 out=made",
        _stage("synth"),
    ),
    "data": Command(
        "data",
        "read data sets, check every row, cut them into steps and export them for both frameworks",
        "funreason-train data datasets=[apigen] apigen.path=xlam.json out=data",
        _stage("data"),
    ),
    "sft": Command(
        "sft",
        "fine-tune with LLaMA-Factory, its workers on Ray Train",
        "funreason-train sft +recipe=funreason_mt_4b cluster=h20x32 dry_run=true",
        _stage("sft"),
    ),
    "rl": Command(
        "rl",
        "train with verl's GRPO, vLLM rollouts and the rule-based reward",
        "funreason-train rl +recipe=funreason_mt_4b cluster=h20x32 dry_run=true",
        _stage("rl"),
    ),
    "export": Command(
        "export",
        "merge the RL checkpoint into a Hugging Face folder and compare it key by key",
        "funreason-train export run_dir=runs/mine",
        _stage("export"),
    ),
    "eval": Command(
        "eval",
        "serve models with vLLM: held-out tasks, BFCL or tasks of your own; tables, intervals and failures",
        "funreason-train eval benchmark=bfcl model=[BASE,SFT,RL] categories=[multi_turn] run_dir=runs/mine",
        _stage("eval"),
    ),
    "pipeline": Command(
        "pipeline",
        "all of the above in order; a finished stage is skipped, an interrupted one resumes",
        "funreason-train pipeline +recipe=quickstart_cpu seed=1 run_dir=runs/seed1",
        _pipeline,
    ),
    "doctor": Command(
        "doctor",
        "look at this machine or every node of a cluster; score gold and trivial answers with the reward",
        "funreason-train doctor reward=runs/mine/data/rl/train.parquet",
        _doctor,
    ),
    "report": Command(
        "report",
        "write a run's report, report.html, or show it in a browser while the run goes on",
        "funreason-train report serve run_dir=runs/mine",
        _report,
        word="report.do",
    ),
    "plan": Command(
        "plan",
        "memory, time, network and disk of sft and rl, and what to change if they do not fit",
        "funreason-train plan +recipe=funreason_mt_4b cluster=h20x32",
        _plan,
    ),
    "runs": Command(
        "runs",
        "list the runs of a folder, compare what differs between some, or remove what they can do without",
        "funreason-train runs compare of=[runs/a,runs/b]",
        _runs,
        word="runs.do",
    ),
    "lineage": Command(
        "lineage",
        "from a score back to the model, the settings and the training rows, and what no longer matches",
        "funreason-train lineage runs/mine/eval/rl/scores.json",
        _lineage,
        word="lineage.score",
    ),
    "reverify": Command(
        "reverify",
        "score a run's stored rollouts and evaluations again with another reward, without generating",
        "funreason-train reverify runs/mine reward=partial",
        _reverify,
        word="run_dir",
    ),
    "serve-env": Command(
        "serve_env",
        "offer one of the environments as an MCP server, over stdio or streamable HTTP",
        "funreason-train serve-env shop seed=3",
        _serve_env,
        word="serve_env.environment",
    ),
}


#: Commands that would do all of their work under `dry_run=true`.
_NO_DRY_RUN = ("report", "reverify", "serve-env")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = ["usage: funreason-train COMMAND [key=value ...]", "", "commands:"]
    lines += [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    lines += [
        "",
        "`funreason-train COMMAND --help` lists a command's settings, `--version` the version.",
        "Any setting can be overridden with key=value; +recipe=NAME chooses a named run, +recipe=FILE.yaml",
        "one of your own; dry_run=true shows what would run, --cfg job the settings that would be used.",
        'Completion with the tab key: eval "$(funreason-train --shell-completion bash)"',
    ]
    return "\n".join(lines)


def _help(name: str) -> str:
    from ..settings.places import shipped

    command = COMMANDS[name]
    parts = [f"funreason-train {name}: {command.summary}", f"example: {command.example}"]
    parts.append("choices:\n" + "\n".join(f"  {line}" for line in _choices(name)))
    for title, file in (("this command", command.section), ("every command", "config")):
        text = (shipped("configs") / f"{file}.yaml").read_text(encoding="utf-8")
        parts.append(f"settings of {title} (configs/{file}.yaml):\n" + _indent(_without_header(text)))
    return "\n\n".join(parts)


def _choices(command: str) -> list[str]:
    """What each configuration group and `+recipe` take."""
    from ..settings.places import group_choices, recipes

    more = {"model": "|FOLDER|HUB_ID" + "|[…,…]" * (command == "eval")}
    lines = [
        f"{group}={'|'.join(names)}{more.get(group, '')}|FILE.yaml"
        for group, names in group_choices().items()
    ]
    return [*lines, f"+recipe={'|'.join(recipes())}|FILE.yaml"]


def _without_header(text: str) -> str:
    """The settings of a YAML file with their comments, less the package line and the defaults list."""
    kept, skipping = [], False
    for line in text.splitlines():
        if line.startswith("# @package"):
            continue
        if line.startswith("defaults:"):
            skipping = True
        elif not (skipping and (line.startswith(("  -", "- ")) or not line.strip())):
            skipping = False
            kept.append(line)
    return "\n".join(kept).strip()


def _indent(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0 done, 1 failed, 2 a mistake to fix, 75 saved and stopped as asked (the same command goes on), 130
        interrupted, 141 nobody reads the output any more.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of few characters is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _answer(words)
        if sys.stdout is not None:  # it may have been closed
            sys.stdout.flush()
        return code
    except UserError as error:
        _complain(error)
        return 2
    except KeyboardInterrupt:
        print("funreason-train: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `--help | head`
        _mute()
        return 141
    except OSError as error:
        if not is_full(error):
            raise
        _mute()
        what = f"a disk, or that of the output, is full ({error.strerror})"
        _complain(UserError(what, fix="Free some space; the same command continues"))
        return 1


def _mute() -> None:
    """What is still to be flushed goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: Exception) -> None:
    """Prints an error; its words may be those of a log, of an answer or of an address with a login."""
    from ..plain import visible
    from ..run.secrets import redacted

    print(f"funreason-train: {visible(redacted(str(error)))}", file=sys.stderr)


def _answer(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"funreason-train {__version__}")
        return 0
    if words[0] == "--shell-completion":
        from .line.completion import script

        print(script(words[1:], {name: command.section for name, command in COMMANDS.items()}))
        return 0
    return _run(words[0], words[1:])


def _run(name: str, words: list[str]) -> int:
    from ..settings.names import unknown
    from .line.options import read_options

    if name not in COMMANDS:
        raise UserError(unknown("command", name, COMMANDS))
    options, words = read_options(words)
    if options.help:
        print(_help(name))
        return 0
    from .line.loading import load

    command = COMMANDS[name]
    # A path may have an equals sign as well, as runs named after their settings do; no key has a slash.
    if command.word and words and ("=" not in words[0] or "/" in words[0].partition("=")[0]):
        words = [f"{command.word}={words[0]}", *words[1:]]
    config = load(name, command.section, words)
    told = ""
    if name == "eval":
        from .line.prompts import settle_prompts

        told = settle_prompts(config, words)
    if options.print_config:
        from omegaconf import OmegaConf

        print(OmegaConf.to_yaml(config, resolve=options.resolve), end="")
        return 0
    from ..run.stop import EXIT_CODE
    from .display import say
    from .execution.spawn import StageFailed
    from .execution.stop import StageStopped, StopRequest
    from .line.home import home_of
    from .line.next_step import next_step
    from .line.notify import notified
    from .planning.dry_run import show
    from .stages import STAGES

    if told:
        say(told)
    run_dir = home_of(name, config, words)
    if name == "pipeline" and config.pipeline.rehearse:
        from .rehearsal.rehearse import RehearsalFailed, rehearse

        try:
            with notified(None if config.dry_run else config.notify, "rehearsal", str(run_dir.root)):
                rehearse(config, run_dir, words)
        except RehearsalFailed as error:
            print(f"funreason-train: {error}", file=sys.stderr)
            return error.code
        return 0
    if config.dry_run and (name in STAGES or name == "pipeline"):
        stages = list(config.pipeline.stages) if name == "pipeline" else [name]
        show(stages, config, run_dir, words)
        return 0
    if config.dry_run and name == "doctor":
        from .preflight.doctor import show_plan

        show_plan(config, run_dir, words)
        return 0
    if name == "sft" and config.sft.tokenise_only:
        from .preflight.ahead import tokenise

        with notified(config.notify, name, str(run_dir.root)):
            say(tokenise(config, run_dir))
        return 0
    if config.dry_run and name in _NO_DRY_RUN:
        raise UserError(
            "this command has no dry run", where=name, fix="Leave out dry_run=true; it trains nothing"
        )
    try:
        with notified(config.notify, name, str(run_dir.root)):
            command.run(config, run_dir, [name, *words])
    except StageFailed as error:
        _complain(error)
        return 1
    except StageStopped as error:
        StopRequest.answer()
        _complain(error)
        return EXIT_CODE
    if following := next_step(name, config, run_dir, words):
        say(f"Next: {following}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
