"""Kills a process of a run with SIGKILL at a random moment, gives the same command again, compares the end.

    python benchmarks/operate/kills.py --out /tmp/kills [--kills 20] [--seed 0] [--only rl/agent]

A tiny quickstart is run once without harm. Each trial starts its own copy of that run afresh from one stage
on (`restart=STAGE:kill`), kills a process of one kind at a moment drawn from the stage's duration, waits for
the command's end and gives the very same command again. A trial is good if

- the first command ends by itself, the second one with 0, each within the time limit,
- no stage that was finished is done again, and the interrupted one continues from its last whole checkpoint,
- summary.json says the same as the run without harm, and weights and answers are the same bytes,
- no process of the killed command is left.

Prints a row a trial and writes them to OUT/kills.jsonl; a trial that stands there is not done again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SETTINGS = (
    "+recipe=quickstart_cpu",
    *("synth.trajectories=200", "synth.heldout_tasks=12", "synth.tuning_tasks=12"),
    *("sft.max_steps=24", "sft.save_steps=6"),
    *("rl.steps=4", "rl.save_every=1", "rl.prompts_per_step=4", "rl.samples_per_prompt=4"),
    f"reward={Path(__file__).resolve().with_name('any_reward.py')}:score",
    # The engine's log-probabilities depend on which requests it computes together, in the last bit.
    "rl.trust_rollout_log_probs=false",
    *("rl.max_response_tokens=32", "eval.max_tokens=48", "doctor.preflight=false"),
)
#: Stage and kind of process of each trial; further ones begin again from the first.
TRIALS = (
    *("rl/training", "sft/training", "eval/replica", "rl/rollout", "sft/driver", "rl/agent", "export/driver"),
    *("rl/storage", "sft/raylet", "rl/raylet", "eval/driver", "rl/driver", "sft/gcs", "rl/gcs", "data/stage"),
    *("rl/stage", "synth/driver", "sft/stage", "eval/stage", "export/stage"),
)
#: Words in the command line of a kind of process; the driver and its stage are known by their place.
WORDS = {
    "training": (
        "ray::RayTrainWorker",
        "ray::WorkerDict",
        "ray::ActorRolloutRefWorker",
        "ray::TrainingWorker",
    ),
    "rollout": ("ray::vLLMHttpServer", "ray::TransformersServer", "VLLM::EngineCore"),
    "agent": ("ray::AgentLoopWorker",),
    "storage": ("ray::SimpleStorageUnit", "ray::SimpleStorage"),
    "raylet": ("/raylet/raylet",),
    "gcs": ("/gcs/gcs_server",),
    "replica": ("worker:play_replica",),
}
STAGES = ("synth", "data", "sft", "rl", "export", "eval")
#: What has to be the same bytes at the end.
SAME = {
    "rows": "data/sft/train.json",
    "sft": "sft/model/model.safetensors",
    "rl": "export/model.safetensors",
    **{f"answers of {model}": f"eval/{model}/episodes.jsonl" for model in ("base", "sft", "rl")},
}
LIMIT = 1200.0  # seconds a command may take on a busy machine


_STARTED: list[Command] = []  # so that none outlives this program


@dataclass
class Command:
    """A command that runs, with what it has printed."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def tree(self) -> list[psutil.Process]:
        """It and all its descendants."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    def of_kind(self, kind: str) -> list[psutil.Process]:
        """Its processes of one kind."""
        tree = self.tree
        if kind == "driver":
            return tree[:1]
        if kind == "stage":
            return [one for one in tree if "worker:run_stage" in _line(one)]
        return [one for one in tree[1:] if any(word in _line(one) for word in WORDS[kind])]


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def start(run: Path, log: Path, *words: str) -> Command:
    """Starts the pipeline in a session of its own."""
    line = [sys.executable, "-m", "funreason_train", "pipeline", *SETTINGS, f"run_dir={run}", *words]
    with log.open("ab") as output:
        process = subprocess.Popen(
            line, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    _STARTED.append(command := Command(process, log))
    return command


def ended(command: Command, limit: float = LIMIT) -> int | None:
    """Its exit code, or None if it had to be ended after so many seconds."""
    try:
        return command.process.wait(limit)
    except subprocess.TimeoutExpired:
        for one in command.tree:
            one.kill()
        command.process.wait()
        return None


def stages(run: Path) -> dict[str, dict[str, Any]]:
    """The records of the run's stages."""
    try:
        return dict(json.loads((run / "manifest.json").read_text())["stages"])
    except (OSError, ValueError, KeyError):
        return {}


def reached(run: Path, stage: str) -> int:
    """Steps, or finished tasks, that are safe on disk."""
    from funreason_train.rl.checkpoints import latest
    from funreason_train.sft.train.checkpoints import latest_complete

    if stage == "sft":
        record = run / "sft" / "workers.json"
        workers = int(json.loads(record.read_text())["workers"]) if record.is_file() else 1
        whole = latest_complete(run / "sft" / "checkpoints", workers)
        return int(whole.name[len("checkpoint-") :]) if whole else 0
    if stage == "rl":
        return latest(run / "rl" / "checkpoints")
    if stage == "eval":
        return sum(map(len, _parts(run)))
    return 0


def _parts(run: Path) -> list[list[str]]:
    """The ids of the finished tasks of each attempt, as often as they were finished."""
    folders = {file.parent for file in (run / "eval").rglob("replica*.jsonl")}
    return [
        [json.loads(line)["id"] for file in folder.glob("replica*.jsonl") for line in _whole(file)]
        for folder in sorted(folders)
    ]


def _whole(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.endswith("}")]


def outcome(run: Path) -> dict[str, Any]:
    """What has to be the same as in the run without harm."""
    summary = json.loads((run / "summary.json").read_text())
    digests = {
        name: hashlib.sha256((run / file).read_bytes()).hexdigest()[:12] for name, file in SAME.items()
    }
    return {"heldout": summary["heldout"], "bytes": digests}


def trial(number: int, name: str, out: Path, random_: random.Random, share: float = 0.95) -> dict[str, Any]:
    """One kill and what came of it.

    Args:
        number: Of the trial.
        name: Stage and kind of process.
        out: Where runs are kept.
        random_: Draws the moment and the process.
        share: The last moment, as a share of the stage's duration in the run without harm.
    """
    stage, kind = name.split("/")
    run, log = out / f"trial{number}", out / f"trial{number}.log"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(out / "reference", run, symlinks=True)
    log.unlink(missing_ok=True)
    seconds = float(stages(run)[stage]["seconds"])
    word = f"restart={stage}:kill"
    first = start(run, log, word)
    begun = _await(lambda: stages(run).get(stage, {}).get("state") == "running", first)
    moment = random_.uniform(0.05, share) * seconds
    time.sleep(moment if begun else 0.0)
    _await(lambda: bool(first.of_kind(kind)), first)
    victims = first.of_kind(kind)
    if not victims:
        code = ended(first)
        if code == 0 and share > 0.1:  # the stage was faster this time, and over
            return trial(number, name, out, random_, share / 2)
        return {"trial": number, "kill": name, "at": round(moment, 1), "missed": True, "first": code}
    family, before = first.tree, {one: record["state"] for one, record in stages(run).items()}
    victim = random_.choice(victims)
    safe = reached(run, stage)
    victim.kill()
    code = ended(first)
    left = _left(family)
    failed = {one: record.get("attempts") for one, record in stages(run).items()}
    second = start(run, log, word)
    again = ended(second)
    found: dict[str, Any] = {
        "trial": number,
        "kill": name,
        "at": round(moment, 1),
        "of": round(seconds, 1),
        "safe": safe,
        "first": code,
        "second": again,
        "left": left,
    }
    now = stages(run)
    found["finished"] = again == 0 and all(now[one]["state"] == "done" for one in STAGES)
    redone = [one for one, state in before.items() if state == "done" and now[one]["attempts"] != failed[one]]
    found["redone"] = redone
    found["continued"] = _continued(run, stage, safe)
    if found["finished"]:
        mine, theirs = outcome(run), outcome(out / "reference")
        found["same"] = mine == theirs
        found["differs"] = [name for name in SAME if mine["bytes"][name] != theirs["bytes"][name]]
    whole = found["finished"] and found["same"] and found["continued"] is not False
    found["good"] = bool(whole and code is not None and not left and not redone)
    if found["good"]:
        shutil.rmtree(run, ignore_errors=True)
    return found


def _await(true: Any, command: Command, limit: float = LIMIT) -> bool:
    until = time.monotonic() + limit
    while command.process.poll() is None and time.monotonic() < until:
        if true():
            return True
        time.sleep(0.1)
    return False


def _left(family: list[psutil.Process], patience: float = 60.0) -> list[str]:
    """Processes of a command that has ended which are still there after a while; they are ended."""
    _, alive = psutil.wait_procs(family, timeout=patience)
    names = [_line(one)[:80] for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    for one in alive:
        if one.is_running():
            one.kill()
    return names


def _continued(run: Path, stage: str, safe: int) -> bool | None:
    """Whether the interrupted stage went on from what was safe; None where a stage has no checkpoints."""
    if stage == "rl":
        lines = [json.loads(line) for line in (run / "rl" / "metrics.jsonl").read_text().splitlines()]
        whole = [line["step"] for line in lines] == list(range(1, lines[-1]["total"] + 1))
        return whole and int(stages(run)["rl"]["result"]["resumed_from"]) >= safe
    if stage == "sft":
        # The first is the one that was killed; none follows if only the last bookkeeping was left.
        return all(step >= safe for step in _beginnings(run)[1:])
    if stage == "eval":
        return all(len(part) == len(set(part)) for part in _parts(run))
    return None


def _beginnings(run: Path) -> list[int]:
    """The steps at which SFT began to train in this trial, in order; its run, a copy, has one log already."""
    _, *attempts = sorted((folder for folder in (run / "logs").glob("[0-9]*")), key=lambda one: int(one.name))
    words = re.compile(r"starting at step (0)|continuing from checkpoint-(\d+)")
    texts = [
        (folder / "sft.log").read_text(errors="replace")
        for folder in attempts
        if (folder / "sft.log").is_file()
    ]
    return [int(zero or step) for text in texts for zero, step in words.findall(text)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=len(TRIALS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="STAGE/KIND, one trial")
    parser.add_argument("--trial", type=int, help="its number, one trial; -1 for the run without harm alone")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("COLUMNS", "160")
    if not (out / "reference" / "summary.json").is_file():
        shutil.rmtree(out / "reference", ignore_errors=True)
        if ended(start(out / "reference", out / "reference.log")) != 0:
            print(f"the run without harm failed, see {out / 'reference.log'}", file=sys.stderr)
            return 1
    records = out / "kills.jsonl"
    done = {}
    if records.is_file():
        done = {row["trial"]: row for row in map(json.loads, records.read_text().splitlines())}
    for number in range(arguments.kills):
        name = TRIALS[number % len(TRIALS)]
        random_ = random.Random(f"{arguments.seed}/{number}")
        if number in done or (arguments.only and arguments.only != name):
            continue
        if arguments.trial is not None and arguments.trial != number:
            continue
        row = trial(number, name, out, random_)
        with records.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        done[number] = row
        print(json.dumps(row), flush=True)
    good = sum(bool(row.get("good")) for row in done.values())
    print(f"{good} of {len(done)} trials are good")
    return 0 if good == len(done) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        for one in _STARTED:
            for process in one.tree if one.process.poll() is None else []:
                process.kill()
