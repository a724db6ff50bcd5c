"""Runs a claim's arms by the real stages, seed by seed; a killed run goes on with the same command.

A stage that is finished is noted with its words and skipped; one that was interrupted is started again, and
continues by itself (each stage of `funreason-train` does). So the table does not depend on where it was
killed. Seeds may be played at different times and on different machines: a record holds every verdict, and
`--record FILE` takes the seeds from it that are not in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from claim_arms import RECIPE, SCALES, Arm, Claim, Scale, Step
from claim_table import Played, recorded, tables

DEFAULT_OUT = Path("runs/claims")


def words_of(step: Step, folder: Path, seed: int, scale: Scale) -> list[str]:
    """The command's words after `funreason-train`."""
    later = step.later(folder) if step.later else ()
    size = [] if step.times is None else [f"synth.trajectories={round(scale.conversations * step.times)}"]
    own = [filled(setting, folder) for setting in (*size, *step.settings, *later)]
    fixed = [RECIPE, f"seed={seed}", f"run_dir={folder / step.run}"]
    return [step.command, *fixed, *scale.words[step.command], *own]


def filled(setting: str, folder: Path) -> str:
    """`{NAME}` replaced by the folder of that run; other braces (Hydra's dictionaries) stay."""
    head, brace, rest = setting.partition("{")
    name, closed, tail = rest.partition("}")
    if not (brace and closed and name.isidentifier()):
        return setting
    return f"{head}{folder / name}{filled(tail, folder)}"


def run_step(step: Step, folder: Path, seed: int, scale: Scale) -> None:
    """Runs one command, unless it is noted as done with the same words."""
    run_command(words_of(step, folder, seed, scale), folder / "done" / f"{step.run}-{step.command}.json")


def run_command(words: Sequence[str], note: Path) -> None:
    """Runs a command of `funreason-train` and notes that it is done.

    Raises:
        SystemExit: it failed, or was done with other settings.
    """
    if note.is_file():
        before = json.loads(note.read_text(encoding="utf-8"))
        if before == list(words):
            return
        new = [word for word in words if word not in before]
        raise SystemExit(
            f"Error: {note.stem} was run with different settings (now {' '.join(new) or 'fewer'}): "
            "name another --out, or remove this one's folder of the seed."
        )
    print("funreason-train", *words, flush=True)
    if start(words):
        raise SystemExit(f"Error: `funreason-train {words[0]}` failed (its message is above).")
    note.parent.mkdir(parents=True, exist_ok=True)
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps(list(words)), encoding="utf-8")
    partial.replace(note)


def start(words: Sequence[str]) -> int:
    """Runs `funreason-train` with these words; its exit code."""
    return subprocess.run([sys.executable, "-m", "funreason_train", *words]).returncode


def evaluate(claim: Claim, tasks: str, folder: Path, seed: int, scale: Scale) -> None:
    """All arms of a claim on one set of tasks, in one evaluation."""
    run = folder / evaluation(claim, tasks)
    models = ",".join(f"{arm.key}: '{filled(arm.model, folder)}'" for arm in claim.arms)
    file = filled(claim.tasks[tasks], folder)
    fixed = [RECIPE, f"seed={seed}", f"run_dir={run}", f"models={{{models}}}", f"eval.tasks={file}"]
    words = ["eval", *fixed, *scale.words["eval"], *claim.play]
    run_command(words, folder / "done" / f"{run.name}.json")


def evaluation(claim: Claim, tasks: str) -> str:
    """The name of the run that evaluates a claim on a set of tasks."""
    return f"eval-{claim.name}-{tasks}"


def played(claim: Claim, folder: Path, seed: int) -> Played | None:
    """What a seed's arms did; None unless every evaluation of the claim is done."""
    verdicts: dict[str, dict[str, dict[str, bool]]] = {}
    for tasks in claim.tasks:
        if not (folder / "done" / f"{evaluation(claim, tasks)}.json").is_file():
            return None
        for arm in claim.arms:
            file = folder / evaluation(claim, tasks) / "eval" / arm.key / "episodes.jsonl"
            rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
            verdicts.setdefault(arm.name, {})[tasks] = {row["id"]: bool(row["right"]) for row in rows}
    notes = {
        arm.name: {"tokens processed": f"{trained(folder, arm):,}"}
        | {heading: find(folder, arm) for heading, find in claim.notes.items()}
        for arm in claim.arms
    }
    return Played(seed, verdicts, notes, made(claim, folder))


def trained(folder: Path, arm: Arm) -> int:
    """Tokens that an arm's own training has processed, of SFT's sequences and of RL's samples."""
    tokens = 0
    for run in arm.train:
        if rows := _lines(folder / run / "sft" / "metrics.jsonl"):
            tokens += int(rows[-1].get("processed_tokens", rows[-1]["tokens"]))
        tokens += sum(int(row["global_seqlen/mean"]) for row in _lines(folder / run / "rl" / "metrics.jsonl"))
    return tokens


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def play(claim: Claim, out: Path, seeds: Sequence[int], scale: Scale, known: Sequence[Played] = ()) -> str:
    """Runs what is missing, and writes the claim's table after every seed; returns it."""
    folder = out / scale.name
    for seed in seeds:
        place = folder / f"seed{seed}"
        if not place.is_dir() and any(one.seed == seed for one in known):
            continue
        seen: set[Step] = set()
        for arm in claim.arms:
            for step in arm.steps:
                if step not in seen:
                    run_step(step, place, seed, scale)
                    seen.add(step)
        for tasks in claim.tasks:
            evaluate(claim, tasks, place, seed, scale)
        write(claim, folder, seeds, scale, known)
    return write(claim, folder, seeds, scale, known)


def write(
    claim: Claim, folder: Path, seeds: Sequence[int], scale: Scale, known: Sequence[Played] = ()
) -> str:
    """The table of the seeds that are there, as Markdown; written to OUT/SCALE/NAME.md and NAME.json.

    Args:
        claim: The claim.
        folder: Of the scale.
        seeds: Wanted.
        scale: The scale.
        known: Seeds of a record, for those that are not in the folder.
    """
    other = {one.seed: one for one in known}
    found = [played(claim, folder / f"seed{seed}", seed) or other.get(seed) for seed in seeds]
    text, record = tables(claim, [one for one in found if one is not None], len(seeds), scale.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{claim.name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / f"{claim.name}.md").write_text(text, encoding="utf-8")
    return text


def made(claim: Claim, folder: Path) -> dict[str, Any]:
    """Of which commits, on which machines and in how many seconds the stages of a seed were run; the stages
    that it shares with other claims are among them.
    """
    runs = {step.run for arm in claim.arms for step in arm.steps}
    runs |= {evaluation(claim, tasks) for tasks in claim.tasks}
    files = [folder / run / "manifest.json" for run in sorted(runs)]
    stages = [
        stage
        for file in files
        if file.is_file()
        for stage in json.loads(file.read_text(encoding="utf-8"))["stages"].values()
    ]
    origins = [stage["origin"] for stage in stages if stage.get("origin")]
    hardware = [one["hardware"] for one in origins]
    return {
        "commits": sorted({str(one["git"]["commit"])[:7] for one in origins}),
        "machines": sorted({f"{one['cores']} cores of {one['processor']}" for one in hardware}),
        "seconds": round(sum(float(stage.get("seconds") or 0) for stage in stages), 1),
    }


def main(*claims: Claim) -> None:
    """The command line of every script here."""
    parser = argparse.ArgumentParser(
        description="\n".join(f"{claim.name}: {claim.question}" for claim in claims),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help=f"where runs lie ({DEFAULT_OUT})")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scale", choices=list(SCALES), default="full")
    parser.add_argument("--record", type=Path, help="take seeds that are not there from this record")
    parser.add_argument("--dry", action="store_true", help="print the commands that would run, and stop")
    parser.add_argument("--table", action="store_true", help="only print the tables of what is there")
    arguments = parser.parse_args()
    scale, out = SCALES[arguments.scale], arguments.out.absolute()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for claim in claims:
        if arguments.dry:
            for arm in claim.arms:
                for step in arm.steps:
                    words = words_of(_known(step), out / scale.name / "seed0", 0, scale)
                    print("funreason-train", *words)
            continue
        known = _recorded(claim, arguments.record, scale) if arguments.record else []
        if arguments.table:
            print(write(claim, out / scale.name, arguments.seeds, scale, known))
        else:
            print(play(claim, out, arguments.seeds, scale, known))


def _recorded(claim: Claim, file: Path, scale: Scale) -> list[Played]:
    try:
        return recorded(claim, json.loads(file.read_text(encoding="utf-8")), scale.name)
    except (OSError, ValueError) as error:
        raise SystemExit(f"Error: {file} cannot be taken as a record of {claim.name}: {error}.") from None


def _known(step: Step) -> Step:
    """The step without the settings that only earlier runs can tell."""
    return replace(step, later=None)
