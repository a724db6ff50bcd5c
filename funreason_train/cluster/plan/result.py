"""What a plan says of a stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Of the JSON form. A reader refuses any other.
FORMAT = 1


@dataclass(frozen=True)
class Advice:
    """A setting that makes a plan fit.

    Attributes:
        setting: As it is written on the command line.
        bytes: What the fullest moment of a GPU takes with it.
    """

    setting: str
    bytes: float


@dataclass(frozen=True)
class StagePlan:
    """The plan of a stage. Bytes are of one GPU, or of all processes together on a CPU machine.

    Attributes:
        stage: Its name.
        device: What one of the devices is called.
        devices: How many there are.
        capacity: Bytes of one; 0 if it is not known.
        usable: Bytes of it that may be planned with.
        memory: Moment (training, rollouts) -> part -> bytes.
        seconds: Part of a step -> seconds.
        tokens: Processed in a step, of all devices.
        steps: Of the run; None if the data are not known.
        network: Bytes that a GPU sends in a step.
        disk: Bytes that checkpoints and the model take below the run directory.
        host: Bytes of host memory on a machine.
        largest: Setting and value of the largest pass that fits; None if none does.
        advice: Settings with which it fits, if it does not.
        problems: Why it cannot run, in sentences.
        notes: What was assumed.
        before: The plan as it was before a run corrected it, if one did.
    """

    stage: str
    device: str
    devices: int
    capacity: float
    usable: float
    memory: Mapping[str, Mapping[str, float]]
    seconds: Mapping[str, float]
    tokens: float
    steps: int | None
    network: float
    disk: float
    host: float
    largest: tuple[str, int] | None = None
    advice: Sequence[Advice] = ()
    problems: Sequence[str] = ()
    notes: Sequence[str] = field(default=())
    before: StagePlan | None = None

    @property
    def peak(self) -> float:
        """Bytes of the fullest moment."""
        return max((sum(parts.values()) for parts in self.memory.values()), default=0.0)

    @property
    def fits(self) -> bool:
        """Whether every moment fits."""
        return not self.problems and (not self.capacity or self.peak <= self.usable)

    @property
    def step_seconds(self) -> float:
        """Seconds of a step."""
        return sum(self.seconds.values())

    @property
    def run_seconds(self) -> float | None:
        """Seconds of all steps; None if their number is not known."""
        return None if self.steps is None else self.steps * self.step_seconds

    def to_json(self) -> dict[str, Any]:
        """For programs; bytes and seconds as whole numbers and to the millisecond."""
        return {
            "stage": self.stage,
            "device": self.device,
            "devices": self.devices,
            "capacity_bytes": round(self.capacity),
            "usable_bytes": round(self.usable),
            "memory_bytes": {
                moment: {part: round(value) for part, value in parts.items()}
                for moment, parts in self.memory.items()
            },
            "peak_bytes": round(self.peak),
            "fits": self.fits,
            "step_seconds": {part: round(value, 3) for part, value in self.seconds.items()},
            "seconds_per_step": round(self.step_seconds, 3),
            "steps": self.steps,
            "run_seconds": None if self.run_seconds is None else round(self.run_seconds, 1),
            "tokens_per_step": round(self.tokens),
            "network_bytes_per_step": round(self.network),
            "disk_bytes": round(self.disk),
            "host_bytes": round(self.host),
            "largest": None
            if self.largest is None
            else {"setting": self.largest[0], "value": self.largest[1]},
            "advice": [{"setting": one.setting, "peak_bytes": round(one.bytes)} for one in self.advice],
            "problems": list(self.problems),
            "notes": list(self.notes),
            "uncorrected": None
            if self.before is None
            else {
                "peak_bytes": round(self.before.peak),
                "seconds_per_step": round(self.before.step_seconds, 3),
            },
        }


def document(plans: Iterable[StagePlan]) -> dict[str, Any]:
    """The plans of a run as one JSON object: `{"format", "stages": {NAME: …}}`."""
    return {"format": FORMAT, "stages": {plan.stage: plan.to_json() for plan in plans}}
