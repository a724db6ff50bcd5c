"""`funreason-train pipeline rehearse=true +recipe=…`: plays the recipe's machines on this one.

The recipe is scaled down (`scale`) and run by its own launch scripts on hosts that are namespaces or loopback
addresses (`cluster.hosts`), in a process of its own (`play`).
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ...cluster.hosts import enter_rack, why_not
from ...errors import UserError, refuse
from ...models.small import known_folder
from ...run.files import MISSHAPEN, read_json, write_text
from ...run.lock import locked
from ...run.paths import RunDir
from ...run.process import ChildFailed, call_in_process
from ...settings.resolve import run_of
from ..display import console, print_table, say
from ..stages import stage_of
from .plan import REPOSITORY, Place, Rehearsal, plan
from .play import Job
from .report import change_lines, gap_lines, report, steps_table
from .scale import HOST_CPUS
from .unrehearsed import Gap, gaps

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Stage -> what in the rehearsal's run directory shows that it has a checkpoint.
_CHECKPOINT = {
    "sft": "sft/checkpoints/checkpoint-*/trainer_state.json",
    "rl": "rl/checkpoints/latest_checkpointed_iteration.txt",
}
_END_SECONDS = 30.0


class RehearsalFailed(Exception):
    """A step failed; what its hosts said has been printed."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the rehearsal ended with code {code}")


def rehearse(config: DictConfig, run: RunDir, words: Sequence[str]) -> None:
    """Rehearses the recipe of a command line, or with `dry_run` shows what that would be.

    The same command continues a rehearsal that was interrupted; a finished one, or one of another recipe, is
    done anew.

    Args:
        config: Of the command, resolved.
        run: Its run directory; the rehearsal's own lies beside it.
        words: The command line's.

    Raises:
        UserError: if something has to be fixed first.
        RehearsalFailed: if a step failed.
    """
    place = Place.of(run)
    with locked(RunDir(place.root)):  # a dry run writes the recipe as well, which one that goes on reads
        if config.dry_run:
            _show(plan(config, run, words, _temp_dir("RAY")), _network(config))
            return
        # Ray's sockets have paths of at most 107 bytes, so TMPDIR will not do.
        scratch = Path(tempfile.mkdtemp(prefix="fr", dir="/tmp"))
        try:
            _settle(place, config)
            rehearsal = plan(config, run, words, _temp_dir(str(scratch)), _model(config, place))
            _ask_stages(rehearsal)
            namespaces = _network(config) == "namespaces"
            missing = _gaps(rehearsal)
            code = _play(_job(rehearsal, scratch, namespaces), namespaces)
            _tell(rehearsal, missing)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if code:
        raise KeyboardInterrupt if code in (130, 143) else RehearsalFailed(code)


def _temp_dir(scratch: str) -> str:
    return f"{scratch}/ray"


def _network(config: DictConfig) -> str:
    """How hosts are made here.

    Raises:
        UserError: if namespaces are asked for and not permitted.
    """
    asked = str(config.pipeline.rehearsal.network)
    if asked == "loopback":
        return asked
    why = why_not(os.getuid() == 0)
    if why is None:
        return "namespaces"
    if asked == "namespaces":
        raise UserError(
            f"this machine permits no namespaces ({why})",
            where="pipeline.rehearsal.network",
            fix="Run as root with the packages iproute2 and util-linux installed, or set network=loopback",
        )
    say(f"Hosts are addresses of the loopback network, since this machine permits no namespaces ({why}).")
    return "loopback"


def _settle(place: Place, config: DictConfig) -> None:
    """Takes a finished rehearsal, and one of another recipe, out of the way."""
    if not place.record.is_file():
        if place.run.root.exists():
            raise UserError(
                "the folder holds files that no rehearsal made",
                where=str(place.root),
                fix="Move it away, or choose another run_dir",
            )
        write_text(place.record, "{}\n")
        return
    try:
        done = bool(read_json(place.record).get("done"))
    except MISSHAPEN:
        done = False
    if done:
        for folder in (place.run.root, place.model, place.record.parent / "logs"):
            shutil.rmtree(folder, ignore_errors=True)


def _model(config: DictConfig, place: Place) -> str | None:
    """A small copy of the recipe's model, made if its configuration and tokenizer are on this machine."""
    source = known_folder(str(config.model.path)) if config.model.path else None
    if source is None:
        return None
    if not place.model.is_dir():
        job = {"source": str(source), "target": str(place.model), "seed": int(config.seed)}
        try:
            call_in_process("funreason_train.models.small:make_small", job)
        except ChildFailed as error:
            say(f"{config.model.path} cannot be made small ({error.why}); a tiny Qwen3 takes its place.")
            return None
    return str(place.model)


def _ask_stages(rehearsal: Rehearsal) -> None:
    """Refuses what the stages' own checks find, before any host is made."""
    config, run = rehearsal.config, rehearsal.place.run
    refuse([problem for step in rehearsal.steps for problem in stage_of(step.stage).problems(config, run)])


def _gaps(rehearsal: Rehearsal) -> list[Gap]:
    from omegaconf import OmegaConf

    small: Any = OmegaConf.to_container(rehearsal.config, resolve=True)
    there = OmegaConf.create(dict(rehearsal.recipe))
    assert isinstance(there, type(rehearsal.config))
    plans: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for step in rehearsal.steps:
        stage = stage_of(step.stage)
        if stage.nodes:
            plans[step.stage] = (
                _handed(stage.plan(there, run_of(there)).files),
                _handed(stage.plan(rehearsal.config, rehearsal.place.run).files),
            )
    return gaps(rehearsal.recipe, small, plans)


def _handed(files: Mapping[str, Any]) -> dict[str, Any]:
    from omegaconf import OmegaConf

    found: dict[str, Any] = {}
    for value in files.values():
        plain: Any = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        found |= plain
    return found


def _job(rehearsal: Rehearsal, scratch: Path, namespaces: bool) -> Path:
    asked = rehearsal.recipe["pipeline"]["rehearsal"]["fail"]
    root = rehearsal.place.run.root
    job = Job(
        root=str(rehearsal.place.root),
        namespaces=namespaces,
        hosts=rehearsal.hosts,
        cpus=HOST_CPUS,
        scratch=str(scratch),
        steps=rehearsal.steps,
        fail={stage: f"{glob.escape(str(root))}/{_CHECKPOINT[stage]}" for stage in asked},
    )
    file = scratch / "job.json"
    job.write(file)
    return file


def _play(job: Path, namespaces: bool) -> int:
    """Plays a job in a process that ends with this one, however this one ends.

    The environment is made first, since hosts have no network to install it from.
    """
    made = subprocess.run(
        ["bash", str(REPOSITORY / "launch" / "bootstrap.sh")],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "FUNREASON_DEVICE": "cpu"},
    )
    if made.returncode:
        return made.returncode
    lifeline, held = os.pipe()
    os.set_inheritable(lifeline, True)
    rack = enter_rack(os.getuid() == 0) if namespaces else []
    command = [*rack, sys.executable, "-m", f"{__package__}.play", str(job), str(lifeline)]
    before = signal.signal(signal.SIGTERM, _interrupt)
    # In a session of its own, so that Ctrl-C comes to us alone.
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, pass_fds=(lifeline,), start_new_session=True
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        os.close(held)
        held = -1
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # hosts that do not end; in a rack the kernel ends them with it
            process.kill()
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(lifeline)
        if held >= 0:
            os.close(held)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(rehearsal: Rehearsal, network: str) -> None:
    """What would run, what is scaled down, and what is not rehearsed."""
    console.rule("what would run", align="left")
    say(f"{rehearsal.hosts} hosts ({network}), in this order:")
    for step in rehearsal.steps:
        say(f"  {step.line()}")
    console.rule("what is scaled down (recipe -> rehearsal)", align="left")
    say("\n".join(change_lines(rehearsal)))
    console.rule("what is not rehearsed (its machines -> here)", align="left")
    say("\n".join(gap_lines(_gaps(rehearsal))))
    say("")
    for file in rehearsal.texts:
        say(f"{'the recipe' if file == rehearsal.place.recipe else 'the machines'}: {file}")
    _ask_stages(rehearsal)
    say("Dry run: nothing was started, and no problems found. The same command without dry_run=true runs it.")


def _tell(rehearsal: Rehearsal, missing: Sequence[Gap]) -> None:
    record = read_json(rehearsal.place.record)
    if not record.get("steps"):
        return
    print_table(steps_table(record))
    say("Not rehearsed (its machines -> here):")
    say("\n".join(gap_lines(missing)))
    write_text(rehearsal.place.report, report(rehearsal, record, missing))
    say(f"Report: {rehearsal.place.report}")
