"""What a claim is made of: arms that are trained by the real stages and play the same tasks.

Every run of a seed lies in one folder, by name; a setting names another run's files as `{NAME}/sft/model`.
Runs with the same name are the same run, so several claims share what they start from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RECIPE = "+recipe=quickstart_cpu"
"""Its settings were chosen on training rows and the tuning tasks (docs/quickstart.md); no claim changes them
for one arm alone, but for what it compares."""

Later = Callable[[Path], Sequence[str]]
"""Settings that follow from earlier runs of the seed, given its folder."""


@dataclass(frozen=True)
class Step:
    """One command of `funreason-train`.

    Attributes:
        run: Name of the run; its folder is the command's `run_dir`.
        command: synth, data, sft, rl or export.
        settings: Overrides; `{NAME}` stands for the folder of a run of the same seed.
        later: Further ones, known once the steps before have run.
        times: Conversations to make, as a multiple of the scale's.
    """

    run: str
    command: str
    settings: tuple[str, ...] = ()
    later: Later | None = None
    times: float | None = None


@dataclass(frozen=True)
class Arm:
    """One way to do it.

    Attributes:
        name: As the table shows it.
        steps: What makes its model, in order; steps shared with other arms may stand in each.
        model: The model's folder, with `{NAME}`.
        train: Runs whose training counts as this arm's compute; what all arms share is left out.
    """

    name: str
    steps: tuple[Step, ...]
    model: str
    train: tuple[str, ...]

    @property
    def key(self) -> str:
        """The name as a model's name in an evaluation."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.name)


@dataclass(frozen=True)
class Claim:
    """One table.

    Attributes:
        name: Of the script and of the table.
        question: What the table answers, in one line.
        arms: The first is what the others are compared with.
        tasks: A set of held-out tasks to its file, with `{NAME}`; every arm plays all of them.
        equal: What the arms have in common, so that the comparison is fair.
        play: Settings of the evaluation.
        notes: Figures of an arm beside its accuracy: heading to what finds it in a seed's folder.
    """

    name: str
    question: str
    arms: tuple[Arm, ...]
    tasks: Mapping[str, str]
    equal: str
    play: tuple[str, ...] = ()
    notes: Mapping[str, Callable[[Path, Arm], str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """How much of it is run: words for every command of a kind, before a step's own settings."""

    name: str
    words: Mapping[str, tuple[str, ...]]
    conversations: int
    sft_steps: int
    rl_steps: int


_PACKED = (
    *("sft.tree=true", "sft.packing=true", "sft.tree_tokens=1024"),
    *("cluster.sft.workers=1", "sft.global_batch=2", "sft.per_device_batch=2", "sft.logging_steps=10"),
)
# A step of SFT is two full sequences of 1,024 tokens, whatever they hold: equal steps, equal compute.


def _scale(
    name: str, conversations: int, heldout: int, sft_steps: int, rl_steps: int, **more: tuple[str, ...]
) -> Scale:
    words = {
        "synth": (
            *(f"synth.trajectories={conversations}", f"synth.heldout_tasks={heldout}"),
            "synth.tuning_tasks=20",
        ),
        "data": (),
        "sft": (*_PACKED, f"sft.max_steps={sft_steps}"),
        "rl": (f"rl.steps={rl_steps}", f"rl.save_every={rl_steps}"),
        "export": (),
        "eval": (),
    }
    words |= {command: (*words[command], *own) for command, own in more.items()}
    return Scale(name, words, conversations, sft_steps, rl_steps)


_TINY_RL = ("rl.prompts_per_step=2", "rl.samples_per_prompt=2")
SCALES = {
    # The tables of docs/evidence.md at the size of the quickstart.
    "full": _scale("full", 7000, 400, 1200, 40),
    # A third of the training, on one core: what fits an hour beside other work.
    "small": _scale(
        *("small", 3000, 200, 400, 10),
        synth=("synth.processes=1",),
        data=("data.processes=1",),
        sft=("cluster.cpus_per_worker=1",),
        rl=("cluster.cpus_per_worker=1",),
        eval=("eval.replicas=1",),
    ),
    # Two steps of everything: that the commands compose and run, and nothing else.
    "tiny": _scale("tiny", 120, 12, 2, 1, rl=_TINY_RL),
}


def made(run: str, *synth: str, later: Later | None = None, times: float | None = None) -> tuple[Step, ...]:
    """Conversations and rows of a run of its own."""
    return (Step(run, "synth", synth, later, times), Step(run, "data"))


def tuned(run: str, source: str, *settings: str, start: str | None = None) -> tuple[Step, ...]:
    """SFT on the rows of a run, from that run's random model; a folder of its own where `run` is another."""
    if run == source:
        return (Step(run, "sft", settings),)
    model = f"sft.model={{{start or source}}}/base"
    return (Step(run, "sft", (model, f"sft.data={{{source}}}/data/sft", *settings)),)


def reinforced(
    run: str, source: str, *settings: str, model: str, rows: str = "", later: Later | None = None
) -> tuple[Step, ...]:
    """RL on the rows of a run, and the export."""
    files = tuple(f"rl.{kind}_file={{{source}}}/data/rl/{rows}{kind}.parquet" for kind in ("train", "val"))
    return (Step(run, "rl", (f"rl.model={model}", *files, *settings), later), Step(run, "export"))


START = (*made("start"), *tuned("start", "start"))
"""The quickstart's data and SFT model, which claims about RL start from."""

GRPO = reinforced("grpo", "start", model="{start}/sft/model")
"""The quickstart's RL, from that SFT model."""

HELDOUT = {"held-out": "{start}/synth/tasks/heldout.jsonl"}
