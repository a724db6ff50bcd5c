"""What one optimizer step minimises and counts: the balanced loss, and the tokens of rows in trees.

The balanced loss (BalanceSFT, arXiv 2505.20192) is alpha x (mean over the tokens of thoughts) + (1 - alpha) x
(mean over the tokens of answers), each a mean over the whole global batch: all accumulated passes of all
processes. Plain training takes one mean over both, and short answers behind long thoughts are little of it.

Loaded inside a training process (imports torch and transformers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy, pad
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from ...models.attention.tree import ANSWER, THOUGHT
from ..tokens.packing import IGNORED
from ..tokens.tree_batch import PLACES, SEGMENTS, SPLIT, TARGETS


@dataclass
class Alpha:
    """The weight of thoughts, fixed or learned with Adam.

    The derivative of the loss by alpha is the thoughts' mean less the answers' mean, so learning moves weight
    to the easier of the two. It is kept within 0 and 1.

    Attributes:
        value: Now.
        learned: Whether it is learned.
        first: Adam's running mean of the derivative.
        second: Adam's running mean of its square.
        steps: How often it was moved.
    """

    value: float
    learned: bool = False
    first: float = 0.0
    second: float = 0.0
    steps: int = 0

    def move(self, derivative: float, rate: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        """One step of Adam, if it is learned."""
        if not self.learned:
            return
        self.steps += 1
        self.first += (1 - betas[0]) * (derivative - self.first)
        self.second += (1 - betas[1]) * (derivative**2 - self.second)
        mean, square = (
            moment / (1 - beta**self.steps)
            for moment, beta in zip((self.first, self.second), betas, strict=True)
        )
        self.value = min(1.0, max(0.0, self.value - rate * mean / (square**0.5 + 1e-8)))


@dataclass
class Objective:
    """The running state of the loss and of the counts, the same on every rank between two steps.

    Attributes:
        alpha: The weight of thoughts; None: one mean over all tokens, as LLaMA-Factory computes it.
        rate: Learning rate of alpha; None: the model's, of the same step.
        split: Tokens that the rows alone would have had so far, where trees are trained; else 0.
        totals: Learned tokens of the global batch: of thoughts, of answers.
        sums: Of this rank's losses in the current step: of thoughts, of answers; and its `split` tokens.
        logged: Of the steps since the last log: the two means, one pair a step.
    """

    alpha: Alpha | None = None
    rate: float | None = None
    split: int = 0
    totals: tuple[float, float] = (0.0, 0.0)
    sums: list[torch.Tensor] = field(default_factory=list)
    logged: list[tuple[float, float]] = field(default_factory=list)

    def loss(self, logits: torch.Tensor, targets: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        """This rank's share of the balanced loss: the shares of all ranks and passes add up to it.

        Args:
            logits: (…, vocabulary) that predict the targets.
            targets: The same shape without the vocabulary; -100 where nothing is learned.
            segments: As the targets: 1 in a thought, 2 in an answer.
        """
        assert self.alpha is not None
        losses = cross_entropy(
            logits.float().flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        kinds = segments.flatten()
        parts = [(losses * (kinds == kind)).sum() for kind in (THOUGHT, ANSWER)]
        self.sums.append(torch.stack([one.detach().double() for one in parts]))
        weights = (self.alpha.value, 1 - self.alpha.value)
        shares = [
            weight * part / total
            for weight, part, total in zip(weights, parts, self.totals, strict=True)
            if total  # a segment of which the batch has none adds nothing
        ]
        return torch.stack(shares).sum() if shares else losses.sum() * 0.0

    def finish_step(self, rate: float) -> None:
        """Called by every rank behind an optimizer step: adds up the ranks' losses and moves alpha.

        Args:
            rate: The model's learning rate in that step.
        """
        if self.alpha is not None and self.sums:
            thought, answer = added(torch.stack(self.sums).sum(0)).tolist()
            means = tuple(
                value / total if total else 0.0
                for value, total in zip((thought, answer), self.totals, strict=True)
            )
            self.logged.append((means[0], means[1]))
            if all(self.totals):
                self.alpha.move(means[0] - means[1], rate if self.rate is None else self.rate)
        self.sums.clear()

    def log_line(self) -> dict[str, float]:
        """What a line of the log says of the steps since the last one: the means and alpha."""
        if self.alpha is None or not self.logged:
            return {}
        thought, answer = (sum(column) / len(self.logged) for column in zip(*self.logged, strict=True))
        self.logged.clear()
        return {"thought_loss": thought, "answer_loss": answer, "alpha": self.alpha.value}


def added(value: torch.Tensor) -> torch.Tensor:
    """The sum over all ranks."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else "cpu"
        value = value.to(device)
        dist.all_reduce(value)
    return value


def segment_totals(batches: Iterable[Mapping[str, torch.Tensor]]) -> torch.Tensor:
    """(2,) learned tokens of thoughts and of answers in some batches of this rank."""
    counts = torch.zeros(2, dtype=torch.double)
    for batch in batches:
        kinds = batch[SEGMENTS][batch["labels"] != IGNORED]
        counts += torch.stack([(kinds == kind).sum() for kind in (THOUGHT, ANSWER)]).cpu()
    return counts


def install(objective: Objective) -> None:
    """Makes LLaMA-Factory's SFT trainer minimise and count this, in this process."""
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer as Trainer

    draw, count = Trainer.get_batch_samples, Trainer._get_num_items_in_batch
    compute, log = Trainer.compute_loss, Trainer.log

    def get_batch_samples(self: Any, *given: Any) -> Any:
        batches, items = draw(self, *given)
        if batches and SPLIT in batches[0]:
            objective.split += int(added(torch.stack([one[SPLIT].sum() for one in batches]).sum()))
        return batches, items

    def _get_num_items_in_batch(self: Any, batch_samples: list[Any], device: Any) -> Any:
        if objective.alpha is not None:
            thought, answer = added(segment_totals(batch_samples)).tolist()
            objective.totals = (thought, answer)
        return count(self, batch_samples, device)

    def compute_loss(
        self: Any, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **given: Any
    ) -> Any:
        inputs = {**inputs}
        inputs.pop(SPLIT, None)
        segments = inputs.pop(SEGMENTS, None)
        if objective.alpha is None:
            return compute(self, model, inputs, return_outputs=return_outputs, **given)
        if PLACES not in inputs:
            inputs, segments = chosen(inputs, segments)
        targets = inputs.pop(TARGETS)
        del inputs["labels"]
        outputs = model(**inputs)
        loss = objective.loss(outputs.logits, targets, segments)
        if not self.model.training:
            objective.sums.clear()
        # Ranks' gradients are averaged, and so is the loss that is logged.
        loss = loss * self.accelerator.num_processes
        if not self.model_accepts_loss_kwargs and self.model.training:  # the trainer will divide by them
            loss = loss * self.current_gradient_accumulation_steps
        return (loss, outputs) if return_outputs else loss

    def with_line(self: Any, logs: dict[str, float], *args: Any, **given: Any) -> None:
        if "loss" in logs:
            logs = {**logs, **objective.log_line()}
        log(self, logs, *args, **given)

    Trainer.get_batch_samples = get_batch_samples
    Trainer._get_num_items_in_batch = _get_num_items_in_batch
    Trainer.compute_loss = compute_loss
    Trainer.log = with_line


def chosen(inputs: dict[str, Any], segments: torch.Tensor) -> tuple[dict[str, Any], torch.Tensor]:
    """A batch of rows with the positions whose logits predict named, as `TreeCollator` names them.

    Args:
        inputs: `input_ids`, `labels` and what else the model takes, (batch, length).
        segments: As the labels.
    """
    following = pad(inputs["labels"], (0, 1), value=IGNORED)[:, 1:]
    kinds = pad(segments, (0, 1))[:, 1:]
    kept = (following != IGNORED).any(dim=0).nonzero().squeeze(1)
    return {**inputs, PLACES: kept, TARGETS: following[:, kept]}, kinds[:, kept]


class ObjectiveCallback(TrainerCallback, ExportableState):  # type: ignore[misc, unused-ignore]
    """Moves an `Objective` on with the training, and keeps it in the checkpoints' trainer_state.json."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._rate = 0.0

    def state(self) -> dict[str, Any]:
        """What transformers stores with a checkpoint."""
        alpha = self.objective.alpha
        return {
            "args": {},
            "attributes": {
                "split": self.objective.split,
                "alpha": None if alpha is None else vars(alpha).copy(),
            },
        }

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Takes over what a checkpoint holds."""
        kept = state.stateful_callbacks.setdefault(type(self).__name__, self.state())
        kept = kept[-1] if isinstance(kept, list) else kept
        if not state.global_step:
            return
        found = kept["attributes"]
        self.objective.split = int(found["split"])
        if self.objective.alpha is not None and self.objective.alpha.learned and found["alpha"]:
            self.objective.alpha = Alpha(**found["alpha"])

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        """Notes the rate of the step, which the scheduler changes before the step's end."""
        groups = getattr(optimizer, "param_groups", None) or []
        self._rate = float(groups[0]["lr"]) if groups else 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ends the step."""
        self.objective.finish_step(self._rate)
