"""verl 0.9.1's buffer of a step's groups, with an end to its waiting and with reproducible rounds.

verl's sync trainer throws groups whose samples all scored the same away and draws two others for each
(`ReplayBuffer` in verl/trainer/ppo/v1/replay_buffer.py). It does so without end, since it ignores
`max_num_gen_batches`; and how many it draws depends on which requests happen to be done when it looks.

Prompts whose samples could not be made it leaves out of the step without a word, and it goes on with a
rollout engine that is dead: the weights that it then sends there never arrive.

An episode whose environment failed carries a score of 0 that means nothing. verl's filter would take it for
a difference between samples that all scored 1; here a group is judged by its other episodes alone.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import transfer_queue as tq
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from ...errors import UserError
from .liveness import Liveness
from .quarantine import Judged, all_failed, judged

_TRAIN = "train"
#: How long what a process wrote may be on its way to the driver's log.
_LOG_SECONDS = 3.0


class BoundedGroups(ReplayBuffer):
    """The replay buffer of verl's sync trainer.

    Attributes:
        limit: Groups that a step may throw away; None for no limit.
        keeps_rest: Whether a step at its limit takes groups as they come, and does not end the run.
        whole_rounds: Nothing is decided until every prompt that was drawn is done. Which prompts a step
            trains on is then the same in every run, at the cost of waiting for each round's longest sample.
        liveness: The processes that make the samples; None to trust that they live.
        log_seconds: Time for the log to catch up before a failed sample ends the run.
        environments: Whether the samples are episodes, whose environment can fail.
        judged: The episodes that the filter has looked at in this step.
    """

    limit: int | None = None
    keeps_rest = False
    whole_rounds = False
    liveness: Liveness | None = None
    log_seconds = _LOG_SECONDS
    environments = False
    judged = Judged()
    _step = -1
    _evicted = 0

    def _sync_metadata_from_transfer_queue(self) -> None:
        super()._sync_metadata_from_transfer_queue()
        failed = sorted(name for names in self.failure_keys.values() for name in names)
        # `trainer.v1.sampler.sync_refill_failed_groups`, verl's own choice, draws others in their place.
        if failed and not self.sync_refill_failed_groups:
            time.sleep(self.log_seconds)
            shown = ", ".join(failed[:3]) + (", …" if len(failed) > 3 else "")
            raise RuntimeError(f"the samples of {len(failed)} prompts could not be made ({shown})")
        if self.liveness is not None:
            self.liveness.look()
        filters = self.filter_groups_metric is not None and self.whole_rounds
        if filters and (self.pending_keys[_TRAIN] or self.running_keys[_TRAIN]):
            self.finished_keys[_TRAIN] = set()
            self.failure_keys[_TRAIN] = set()

    def _terminal_eviction_reasons(self, global_steps: int, partition_id: str) -> Any:
        if global_steps != self._step:
            self._step, self._evicted, self.judged = global_steps, 0, Judged()
        return super()._terminal_eviction_reasons(global_steps, partition_id)

    def _dapo_filtered_keys(self, partition_id: str) -> tuple[set[str], Counter[float]]:
        if self.environments and partition_id == _TRAIN and self.filter_groups_metric is not None:
            self._judge_faults()
        found: tuple[set[str], Counter[float]] = super()._dapo_filtered_keys(partition_id)
        if self.keeps_rest and self.limit is not None and self._evicted + len(found[0]) >= self.limit:
            return set(), Counter()
        return found

    def _judge_faults(self) -> None:
        """Decides on the finished groups with faulty episodes, before verl does."""
        decided = self._dapo_classification_cache[_TRAIN]
        new = self.finished_keys[_TRAIN] - decided.keys()
        keys = sorted(key for key in self.partitions[_TRAIN] if key.split("_")[0] in new)
        if not keys:
            return
        fields = ["rm_scores", "extra_fields"]
        data = tq.kv_batch_get(keys=keys, partition_id=_TRAIN, select_fields=fields)
        scores = [float(row.sum()) for row in data["rm_scores"]]
        extras = [getattr(extra, "data", extra) for extra in data["extra_fields"]]
        found = judged(keys, scores, extras, str(self.filter_groups_metric))
        self.judged += found
        decided.update(found.groups)
        if len(found.groups) and self.judged.all_faulty and self.judged.prompts >= self.train_batch_size:
            raise all_failed(self._step, self.judged.said)

    def _evict_terminal_groups(self, global_steps: int, partition_id: str, eviction_reasons: Any) -> Any:
        found = super()._evict_terminal_groups(global_steps, partition_id, eviction_reasons)
        self._evicted += found[2]
        if self.limit is not None and self._evicted >= self.limit:
            scores = ", ".join(f"{score:g}" for score in sorted(eviction_reasons[3]))
            raise UserError(
                f"step {global_steps} threw {self._evicted} groups away whose samples all scored the same "
                f"(the last ones {scores}) and still lacks prompts with a signal{self.judged.aside}; "
                "train on prompts that the model gets right sometimes, raise rl.samples_per_prompt or "
                "rl.algorithm.filter_batches, set rl.algorithm.filter_then=keep to train on what there is, "
                "or rl.algorithm.filter_groups=false"
            )
        return found

    def _select_prompt_uids(self, partition_id: str, sampleable_keys: set[str], batch_size: int) -> Any:
        _, partition, steps = super()._select_prompt_uids(partition_id, sampleable_keys, batch_size)
        ordered = sorted(sampleable_keys, key=lambda key: (steps.get(key, 0), key))
        return ordered[:batch_size], partition, steps
