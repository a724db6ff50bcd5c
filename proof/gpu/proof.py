"""What a GPU shows about this project: one script for one card, in a few minutes.

    bash proof/gpu/run.sh --out DIR                    one GPU, all steps, eight minutes at most
    bash proof/gpu/run.sh --out DIR --steps rl,export  some of them
    bash proof/gpu/run.sh --out DIR --device cpu --tiny

Each step runs in a process of its own with a time limit, uses the project's own commands and functions, and
ends in one line of DIR/proof.jsonl, so that a step that fails or hangs costs the others nothing. Steps that a
record already holds as done are not done again; `--again` does them anew. The table goes to DIR/table.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import record
from child import execute
from steps import BUDGET, STEPS, Job, Step, limit, run_step

_LEAST_SECONDS = 15.0  # with less time left, a step is not begun


def main(words: Sequence[str]) -> int:
    """Runs the steps; returns 0 if each of them was done, else 1."""
    options = _parser().parse_args(words)
    if options.step:
        job = Job(Path(options.work), Path(options.notes), options.device, options.tiny)
        run_step(options.step, job)
        return 0
    out = Path(options.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    work = Path(options.work).absolute() if options.work else out / "work"
    work.mkdir(parents=True, exist_ok=True)
    file = out / "proof.jsonl"
    wanted = [step for step in STEPS if not options.steps or step.name in options.steps]
    until = time.monotonic() + options.seconds
    before = {} if options.again else record.latest(record.read(file))
    pending = []
    for step in wanted:
        done = before.get(step.name)
        if done is not None and done["status"] == "ok" and _same(done, options):
            _say(f"{step.name}: done before")
        else:
            pending.append(step)
    for step in pending:
        left = until - time.monotonic()
        _one(step, options, work, file, limit(step.name, [one.name for one in pending], left))
    lines = record.read(file)
    (out / "table.md").write_text(record.table(lines), encoding="utf-8")
    print(record.table(lines), flush=True)
    found = record.latest(lines)
    return int(any(found.get(step.name, {}).get("status") != "ok" for step in wanted))


def _one(step: Step, options: argparse.Namespace, work: Path, file: Path, limit: float) -> None:
    head = {"step": step.name, "device": options.device, "tiny": options.tiny, "at": int(time.time())}
    if limit < min(_LEAST_SECONDS, step.seconds):
        _add(file, {**head, "status": "skipped", "error": "no time was left"})
        return
    _say(f"{step.name}: {step.title}, {limit:.0f} s at most")
    command = [sys.executable, str(Path(__file__).absolute()), "--step", step.name]
    notes = work / f"{step.name}.json"
    command += ["--work", str(work), "--notes", str(notes), "--device", options.device]
    command += ["--tiny"] if options.tiny else []
    ended = execute(command, limit, notes, file.with_name("log.txt"))
    line = {**head, "status": ended.status, "seconds": ended.seconds, "figures": ended.figures}
    _add(file, {**line, **({"error": ended.error} if ended.error else {})})
    _say(f"{step.name}: {ended.status} after {ended.seconds:.0f} s {json.dumps(ended.figures)}")


def _add(file: Path, line: dict[str, Any]) -> None:
    with file.open("a", encoding="utf-8") as written:
        written.write(json.dumps(line) + "\n")


def _same(line: dict[str, Any], options: argparse.Namespace) -> bool:
    return bool(line["device"] == options.device and line["tiny"] == options.tiny)


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="proof/gpu/run.sh", description=__doc__.split("\n\n")[0])
    names = [step.name for step in STEPS]
    parser.add_argument("--out", default="runs/proof_gpu", help="folder of the record")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the script itself"
    )
    parser.add_argument("--tiny", action="store_true", help="sizes that take seconds")
    parser.add_argument("--steps", type=_names(names), default=[], help=f"some of {','.join(names)}")
    parser.add_argument("--seconds", type=float, default=BUDGET, help="for all steps together")
    parser.add_argument("--work", help="folder for models and runs; default: OUT/work")
    parser.add_argument("--again", action="store_true", help="do steps anew that are done")
    parser.add_argument("--step", choices=names, help=argparse.SUPPRESS)
    parser.add_argument("--notes", help=argparse.SUPPRESS)
    return parser


def _names(known: list[str]) -> Any:
    def names(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(
                f"there is no step {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return found

    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
