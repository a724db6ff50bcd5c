"""verl's trainer run in this process, with this project's records of every step.

Imported only by the process that drives the run: everything here loads verl, ray and torch.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import DictConfig
from transfer_queue import interface
from verl.trainer.ppo.v1 import get_trainer_cls, trainer_base
from verl.utils import tensordict_utils
from verl.utils.debug import marked_timer

from ...errors import UserError
from ...models.best import falls
from ...run import progress
from ...run.stop import Stopped
from ...run.trackers import LOCAL, forgiving
from .. import best
from ..checkpoints import KeepVerified
from ..rollout.sampling import prompt_name, sample_order
from ..rollout.workers import AgentLoopManager, client
from ..settings import limits
from ..shared.balance import keep_together
from ..verl.compose import ENVIRONMENT
from . import egpo, health, records, step_batch
from .group_buffer import BoundedGroups
from .liveness import Liveness, Watch
from .quarantine import all_failed, as_padding, quarantined, validated

#: How often the driver looks whether a step's samples are there; verl's own 2 seconds are a long time here.
_POLL_SECONDS = 0.2


class _EnoughError(Exception):
    """The validation score fell for as long as `rl.stop_below_best` allows."""


def train(config: DictConfig, rl: Mapping[str, Any], metrics: Path, stop: Path) -> None:
    """What verl's `TaskRunnerV1.run` does (verl/trainer/main_ppo.py), in the driver's own process.

    Args:
        config: The full verl configuration, resolved.
        rl: The project's `rl` section, for what verl has no key for.
        metrics: The file that gets one line a step.
        stop: The file whose appearance asks to save after the step that is being done, and to end.

    Raises:
        Stopped: if that was asked for.
        UserError: if a figure was beyond its limit for too long (`rl.health.stop`).
    """
    estimator, algorithm = None, rl["algorithm"]
    if algorithm["advantage"] == egpo.NAME:
        estimator = egpo.register(algorithm["entropy_weight"], algorithm["entropy_bound"])
    tq.init(config.transfer_queue)
    trainer: Any = None
    with Watch() as watch, patch.object(trainer_base, "Tracking", _tracking(trainer_base.Tracking)):
        try:
            trainer = _recording(get_trainer_cls(config.trainer.v1.trainer_mode))(
                config, metrics, rl["health"], estimator
            )
            trainer.watch, trainer.stop_file = watch, stop
            trainer.stop_below_best = rl["stop_below_best"]
            trainer.shares_prompts = rl["share_prompts"]
            trainer.kept = {name: rl[name] for name in ("keep_tokens", "new_log_probs_every")}
            _prepare_buffer(trainer.replay_buffer, config, rl)
            trainer.checkpoint_callback = KeepVerified(rl["keep_checkpoints"])
            trainer.init()
            manager = AgentLoopManager.create(
                config=config,
                llm_client=client(trainer.llm_server_manager),
                teacher_client=trainer.get_teacher_client(),
                reward_loop_worker_handles=trainer.get_reward_handles(),
            )
            makers = [*manager.agent_loop_workers, *_storage_units()]
            trainer.replay_buffer.liveness = Liveness(makers)
            watch.add(makers)
            trainer.fit(manager)
        except _EnoughError:
            return
        finally:
            watch.end()
            if getattr(trainer, "logger", None) is not None:
                trainer.logger.finish()
            tq.close()


def _storage_units() -> list[Any]:
    """The processes that hold a step's samples; TransferQueue keeps their handles to itself."""
    return list((interface._TQ_STORAGE or {}).get("SimpleStorage", {}).values())


def _prepare_buffer(buffer: Any, config: DictConfig, rl: Mapping[str, Any]) -> None:
    buffer.poll_interval = _POLL_SECONDS
    if isinstance(buffer, BoundedGroups):
        buffer.limit = rl["algorithm"]["filter_batches"] * config.data.train_batch_size
        buffer.keeps_rest = rl["algorithm"]["filter_then"] == "keep"
        buffer.whole_rounds = rl["reproducible"]
        buffer.environments = config.actor_rollout_ref.rollout.agent.default_agent_loop == ENVIRONMENT


def _tracking(base: type) -> Any:
    """verl's `Tracking`, whose trackers elsewhere may fail."""

    class Forgiving(base):  # type: ignore[misc]
        def __init__(self, *values: Any, **options: Any) -> None:
            super().__init__(*values, **options)
            self._logs = {name: forgiving(one.log, name) for name, one in self.logger.items()}

        def log(self, data: Any, step: int, backend: Any = None) -> None:
            for name, log in self._logs.items():
                if backend is None or name in backend:
                    log(data=data, step=step)

        def finish(self, exit_code: int = 0) -> None:
            elsewhere = "+".join(sorted(self.logger.keys() - LOCAL)) or "console"
            forgiving(super().finish, elsewhere)(exit_code)

    return Forgiving


def _recording(base: type) -> Any:
    """The trainer of verl's chosen mode, recording what each step did."""

    class Recording(base):  # type: ignore[misc]
        def __init__(
            self,
            config: DictConfig,
            metrics: Path,
            health: Mapping[str, Any],
            estimator: egpo.Egpo | None,
        ) -> None:
            super().__init__(config=config)
            self.stop_file: Path | None = None  # asks to save and to end
            self.watch: Watch | None = None  # over the processes that weights go between
            self.stopping = False
            self.stop_below_best: int | None = None
            self.fell = False  # for as long as that allows
            self.shares_prompts = False
            self.kept: dict[str, int | None] = {"keep_tokens": 0, "new_log_probs_every": 0}
            self.metrics_file = metrics
            self.limits = health
            self.estimator = estimator
            self.lines: list[dict[str, Any]] = []
            self.line_at = 0  # where in the file the step's line begins
            self.faulty: set[str] = set()  # responses of the step's episodes whose environment failed
            self.val_faults = 0.0  # their share in the last validation
            self.drawn = (0, 0)  # the step, and the prompts drawn in it so far
            self.episodes = config.actor_rollout_ref.rollout.agent.default_agent_loop == ENVIRONMENT
            #: Optimiser updates a step.
            self.updates = config.data.train_batch_size // config.actor_rollout_ref.actor.ppo_mini_batch_size

        def on_init_end(self) -> None:
            if self.watch is not None:
                servers = [
                    one for replica in self.llm_server_manager.get_replicas() for one in replica.servers
                ]
                self.watch.add([*self.actor_rollout_wg.workers, *servers])
            super().on_init_end()

        def _build_replay_buffer(self) -> Any:
            with patch.object(trainer_base, "ReplayBuffer", BoundedGroups):
                return super()._build_replay_buffer()

        def _fetch_one_gen_batch(self) -> Any:
            batch = super()._fetch_one_gen_batch()
            step, drawn = self.drawn if self.drawn[0] == self.global_steps else (self.global_steps, 0)
            names = [prompt_name(step, drawn + place) for place in range(len(batch))]
            tensordict_utils.assign_non_tensor_stack(batch, "uid", names)
            self.drawn = (step, drawn + len(batch))
            return batch

        def _balance_batch(self, batch: Any, metrics: dict[str, Any], **options: Any) -> Any:
            # Samples come in the order they were done in; sums of floats depend on it.
            batch.reorder(sorted(range(len(batch.keys)), key=lambda at: sample_order(batch.keys[at])))
            batch = super()._balance_batch(batch, metrics, **options)
            if self.shares_prompts:
                actor = self.config.actor_rollout_ref.actor
                group = self.config.actor_rollout_ref.rollout.n * actor.ppo_mini_batch_size
                updates = self.updates if self.episodes else max(1, len(batch) // group)
                workers = max(self.actor_rollout_wg._dispatch_info["actor"]) + 1
                metrics.update(keep_together(batch, workers, updates))
            return batch

        def _get_required_batch_multiple(self, dp_size: int) -> int:
            if not self.episodes:
                return int(super()._get_required_batch_multiple(dp_size))
            # Episodes differ in their responses, and verl would make an update of every so many rows.
            actor = self.config.actor_rollout_ref.actor
            a_pass = 1 if actor.use_dynamic_bsz else int(actor.ppo_micro_batch_size_per_gpu)
            return math.lcm(dp_size * a_pass, self.config.actor_rollout_ref.rollout.n) * self.updates

        def _update_actor(self, batch: Any, metrics: dict[str, Any]) -> Any:
            if self.episodes:
                samples = self.config.actor_rollout_ref.rollout.n
                self.config.actor_rollout_ref.actor.ppo_mini_batch_size = len(batch) // (
                    samples * self.updates
                )
            return super()._update_actor(batch, metrics)

        def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
            faulty = self.faulty = _faulty(batch, self.global_steps) if self.episodes else set()
            if self.estimator is not None:
                entropies = _thought_entropies(batch, self.tokenizer)
                self.estimator.entropies = entropies
                self.estimator.stand_ins = records.stand_ins(batch.keys)
                metrics["health/thought_entropy"] = float(entropies.mean())
            with quarantined(faulty):
                return super()._compute_advantage(batch, metrics)

        def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
            batch = super().step(metrics, timing_raw)
            # Before the checkpoint, which verl saves next: a run killed after it would not make them again.
            if folder := self.config.trainer.rollout_data_dir:
                with marked_timer("dump_rollout_generations", timing_raw):
                    file = Path(folder) / f"{self.global_steps}.jsonl"
                    tokens = self._tokens(batch)
                    step_batch.write_rollouts(batch, self.tokenizer, file, tokens, self.kept["keep_tokens"])
            trusting = bool(self.config.algorithm.rollout_correction.bypass_mode)
            metrics.update(_health(batch, trusting, metrics.get("actor/ppo_kl")))
            if (
                self.episodes
                and getattr(self.replay_buffer, "judged", None)
                and self.replay_buffer.judged.episodes
            ):
                # A filter has thrown groups away that are not in the batch.
                metrics["health/environment_faults"] = self.replay_buffer.judged.share
            self.line_at = self.metrics_file.stat().st_size if self.metrics_file.exists() else 0
            self._write_line(metrics)
            if self.stop_file and self.stop_file.exists() and self.global_steps < self.total_training_steps:
                self.stopping = True
                self.config.trainer.save_freq = 1  # verl saves next, on all ranks, wherever it would anyway
            return batch

        def _validate(self) -> Any:
            # verl averages every number of the reward; a mean of the reasons' codes says nothing.
            found = {name: value for name, value in super()._validate().items() if "/reason/" not in name}
            if self.episodes:
                found["health/validation_environment_faults"] = self.val_faults
            score = best.score_of(found)
            limit = self.limits["stop"].get("environment_faults")
            if score is not None and (limit is None or self.val_faults <= limit):
                held = best.note(Path(self.config.trainer.default_local_dir), self.global_steps, score)
                patience = self.stop_below_best
                self.fell = patience is not None and falls(held, patience)
            return found

        def _val_metrics_update(self, sources: Any, uids: Any, infos: Any, turns: Any, **options: Any) -> Any:
            expected = options.get("expected_acc_counts")
            sources, uids, infos, turns, expected, self.val_faults = validated(
                sources, uids, infos, turns, expected
            )
            return super()._val_metrics_update(sources, uids, infos, turns, expected_acc_counts=expected)

        def _tokens(self, batch: Any) -> dict[str, list[Any]]:
            """The columns of the token records, at some steps with those of the updated model."""
            if self.kept["keep_tokens"] == 0:
                return {}
            names = ["ids", "mask", "advantage", "rollout", "old", "entropy"]
            if self.config.algorithm.rollout_correction.bypass_mode:  # no pass before the update
                names = names[:-1]
            found = step_batch.token_columns(batch, names)
            every = self.kept["new_log_probs_every"]
            if every and (self.global_steps == 1 or self.global_steps % every == 0):
                temperature = self.config.actor_rollout_ref.rollout.temperature
                found = {**step_batch.log_probs_now(batch, self.actor_rollout_wg, temperature), **found}
            return found

        def on_step_end(self) -> None:
            if self.stopping:
                raise Stopped(f"saved at step {self.global_steps}")
            super().on_step_end()

        def _write_line(self, metrics: dict[str, Any]) -> dict[str, Any]:
            """Writes this step's line; once more when verl has added what it knows only after the save."""
            line = {"step": self.global_steps, "total": self.total_training_steps, **_numbers(metrics)}
            descriptor = os.open(self.metrics_file, os.O_WRONLY | os.O_CREAT, 0o644)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                file.seek(self.line_at)
                file.write((json.dumps(line) + "\n").encode())
                file.truncate()
            return line

        def _compute_metrics(
            self, batch: Any, metrics: dict[str, Any], timing_raw: Any, global_steps: int, epoch: int
        ) -> None:
            with as_padding(batch, self.faulty):
                super()._compute_metrics(batch, metrics, timing_raw, global_steps=global_steps, epoch=epoch)
            line = self._write_line(metrics)
            self.lines = [*self.lines, line][-self.limits["patience"] :]
            self._judge(global_steps, f"reward {line['health/score']:.2f}")
            if self.fell:
                raise _EnoughError

        def _judge(self, step: int, text: str) -> None:
            """Shows the step, warns, and ends the run where a limit says so."""
            patience = self.limits["patience"]
            warnings = limits.crossed(self.lines, self.limits["warn"], patience)
            if warnings:
                with self.metrics_file.with_name("warnings.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": step, "warnings": warnings}) + "\n")
            progress.report(step, self.total_training_steps, "; ".join([text, *warnings]))
            if fatal := limits.crossed(self.lines, self.limits["stop"], patience):
                raise UserError(
                    f"reinforcement learning was ended at step {step}: {'; '.join(fatal)}. Look at "
                    f"{self.metrics_file.parent / 'rollouts' / f'{step}.jsonl'}; fix the cause or raise "
                    "rl.health.stop; the same command continues from the last checkpoint"
                )

        def _log_rollout_data(self, batch: Any, timing_raw: dict[str, float], rollout_data_dir: str) -> None:
            """Done in `step` already."""

    return Recording


def _faulty(batch: Any, step: int) -> set[str]:
    """The keys of responses in episodes whose environment failed.

    Raises:
        UserError: if there is no other episode in the batch.
    """
    rows, _ = step_batch.rows(batch, [])
    found = {row.key for row in rows if row.fault}
    if rows and len(found) == len(rows):
        said: list[str] = next((row.response["reasons"] for row in rows if row.response), [])
        raise all_failed(step, said)
    return found


def _health(batch: Any, trusting: bool, update_kl: float | None) -> dict[str, float]:
    """The figures of a step.

    Args:
        batch: Its responses.
        trusting: Whether the rollout engine's log-probabilities were taken for the actor's
            (`rl.trust_rollout_log_probs`). Then the update is the first to compute the actor's, and its
            measure of how far the two are apart is the one there is.
        update_kl: That measure: the mean of rollout minus actor over the tokens, in nats.
    """
    rows, data = step_batch.rows(batch, ["rollout_log_probs", "old_log_probs", "response_mask"])
    figures = records.figures(rows)
    lists = {
        name: [row.tolist() for row in data[name].unbind()]
        for name in ("rollout_log_probs", "old_log_probs", "response_mask")
        if name in data
    }
    if "rollout_log_probs" in lists:
        rollout, masks = lists["rollout_log_probs"], lists["response_mask"]
        figures["health/entropy"] = health.sampled_entropy(rollout, masks)
        if trusting and update_kl is not None:
            figures["health/rollout_difference"] = abs(update_kl)
        elif not trusting:
            figures["health/rollout_difference"] = health.log_prob_difference(
                rollout, lists["old_log_probs"], masks
            )
    return figures


def _thought_entropies(batch: Any, tokenizer: Any) -> torch.Tensor:
    """The mean entropy over each row's thought, from the pass that computed the old log-probabilities."""
    data = tq.kv_batch_get(
        keys=batch.keys, partition_id=batch.partition_id, select_fields=["entropy", "responses"]
    )
    rows = zip(data["entropy"].unbind(), data["responses"].unbind(), strict=True)
    return torch.tensor([egpo.thought_entropy(row, ids.tolist(), tokenizer.decode) for row, ids in rows])


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The finite scalars among the metrics, as JSON can hold them."""
    found = {}
    for name, value in metrics.items():
        if isinstance(value, int | float | np.number) and np.isfinite(value):
            found[name] = round(float(value), 6)
    return found
