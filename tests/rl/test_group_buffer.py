"""DAPO's filter in verl's replay buffer: it ends, and what it chooses does not depend on timing."""

import itertools
from typing import Any

import pytest
import torch

from funreason_train.errors import UserError

SAMPLES = 2
FAULT = None  # the score of an episode whose environment failed


class Queue:
    """Stands in for TransferQueue and the rollout: one prompt is done at each poll, as `order` picks."""

    def __init__(self, scores: Any, order: Any, failing: Any = (), of_each: int = SAMPLES) -> None:
        self.scores, self.order, self.failing, self.of_each = scores, order, failing, of_each
        self.prompts: dict[Any, Any] = {}
        self.samples: dict[Any, Any] = {}
        self.drawn = 0

    def draw(self, count: Any) -> Any:
        for _ in range(count):
            name = f"00000001-{self.drawn:06d}"
            self.prompts[name] = {"is_prompt": True, "status": "running", "global_steps": 1}
            self.drawn += 1
        return count

    def poll(self) -> None:
        running = [name for name, tag in self.prompts.items() if tag["status"] == "running"]
        if running:
            name = self.order(running)
            failed = int(name[-6:]) in self.failing
            self.prompts[name]["status"] = "failure" if failed else "finished"
            for sample in range(self.of_each):
                self.samples[f"{name}_{sample}_0"] = {"seq_len": 1}

    def kv_list(self, *_: Any) -> dict[str, Any]:
        self.poll()
        return {"train": {**{name: dict(tag) for name, tag in self.prompts.items()}, **self.samples}}

    def kv_clear(self, keys: Any, partition_id: Any) -> None:
        for key in keys:
            self.prompts.pop(key, None)
            self.samples.pop(key, None)

    def kv_batch_get(self, keys: Any, partition_id: Any, select_fields: Any) -> dict[str, Any]:
        rows = [self.scores(int(key.split("_")[0][-6:]), int(key.split("_")[1])) for key in keys]
        extras = [
            {
                "reward_extra_info": {"environment_fault": float(row is FAULT), "acc": row or 0.0},
                "response": {"reasons": ["environment_failed: nobody listens"] if row is FAULT else []},
            }
            for row in rows
        ]
        scores = torch.tensor([0.0 if row is FAULT else row for row in rows])[:, None]
        return {"rm_scores": scores, "extra_fields": extras}


@pytest.fixture
def buffer_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    from verl.trainer.ppo.v1 import replay_buffer

    from funreason_train.rl.train import group_buffer
    from funreason_train.rl.train.group_buffer import BoundedGroups

    def make(queue: Any, whole_rounds: bool = True, limit: Any = None, metric: str = "reward") -> Any:
        monkeypatch.setattr(replay_buffer, "tq", queue)
        monkeypatch.setattr(group_buffer, "tq", queue)
        buffer = BoundedGroups(
            trainer_mode="sync",
            trainer_config={},
            max_off_policy_threshold=None,
            max_off_policy_strategy="drop",
            sampler_kwargs={},
            poll_interval=0.0,
            refill_fn=queue.draw,
            filter_groups_metric=metric,
            train_batch_size=4,
            gen_batch_size=1,
        )
        buffer.whole_rounds, buffer.limit, buffer.log_seconds = whole_rounds, limit, 0.0
        return buffer

    return make


def every_third_has_a_signal(prompt: Any, sample: Any) -> Any:
    return float(sample) if prompt % 3 == 0 else 0.0


@pytest.mark.parametrize("order", [min, max, lambda names: sorted(names)[len(names) // 2]])
def test_what_is_chosen_does_not_depend_on_which_sample_is_done_first(buffer_on: Any, order: Any) -> None:
    queue = Queue(every_third_has_a_signal, order)
    queue.draw(4)
    batch, figures = buffer_on(queue).sample(global_steps=1, partition_id="train", batch_size=4)
    chosen = sorted({int(key.split("_")[0][-6:]) for key in batch.keys})
    assert chosen == [0, 3, 6, 9]
    assert len(batch.keys) == 4 * SAMPLES
    assert queue.drawn == 14
    assert figures["training/filter_groups/evicted_samples"] == 9
    assert figures["training/filter_groups/discarded_surplus_samples"] == 1


def test_without_whole_rounds_groups_are_replaced_at_once(buffer_on: Any) -> None:
    queue = Queue(every_third_has_a_signal, min)
    queue.draw(4)
    batch, _ = buffer_on(queue, whole_rounds=False).sample(1, "train", 4)
    chosen = {int(key.split("_")[0][-6:]) for key in batch.keys}
    assert len(chosen) == 4 and all(prompt % 3 == 0 for prompt in chosen)


@pytest.mark.parametrize("whole_rounds", [True, False])
def test_prompts_that_never_have_a_signal_end_the_run_with_a_sentence(
    buffer_on: Any, whole_rounds: bool
) -> None:
    """verl draws forever: its replay buffer ignores `max_num_gen_batches`."""
    queue = Queue(lambda prompt, sample: 0.0, min)
    queue.draw(4)
    buffer = buffer_on(queue, whole_rounds=whole_rounds, limit=20)
    with pytest.raises(UserError, match=r"threw \d+ groups away .*filter_groups=false"):
        buffer.sample(1, "train", 4)
    assert queue.drawn < 40


@pytest.mark.parametrize("whole_rounds", [True, False])
def test_prompts_that_never_have_a_signal_may_be_taken_at_last(buffer_on: Any, whole_rounds: bool) -> None:
    queue = Queue(lambda prompt, sample: 0.0, min)
    queue.draw(4)
    buffer = buffer_on(queue, whole_rounds=whole_rounds, limit=20)
    buffer.keeps_rest = True
    batch, figures = buffer.sample(1, "train", 4)
    assert len({key.split("_")[0] for key in batch.keys}) == 4
    assert 0 < figures["training/filter_groups/evicted_samples"] < 20 and queue.drawn < 40
    # The next step looks for a signal anew.
    queue.scores = every_third_has_a_signal
    queue.draw(4)
    batch, figures = buffer.sample(2, "train", 4)
    assert all(int(key.split("_")[0][-6:]) % 3 == 0 for key in batch.keys)


def test_without_the_filter_all_groups_are_taken(buffer_on: Any) -> None:
    queue = Queue(lambda prompt, sample: 0.0, max)
    queue.draw(4)
    batch, figures = buffer_on(queue, metric=None).sample(1, "train", 4)
    assert len({key.split("_")[0] for key in batch.keys}) == 4 and figures == {}
    assert all(a <= b for a, b in itertools.pairwise(sorted(batch.keys)))


def broken(buffer_on: Any, queue: Queue, **options: Any) -> Any:
    queue.draw(4)
    buffer = buffer_on(queue, **options)
    buffer.environments = True
    return buffer


@pytest.mark.parametrize("metric", ["reward", "acc"])
def test_a_failed_environment_is_no_difference_between_samples(buffer_on: Any, metric: str) -> None:
    """Prompts 1, 2, 3 of four: right and a fault; right, right and a fault; right, wrong and a fault."""
    kinds: list[list[float | None]] = [
        [1.0, FAULT, FAULT],
        [1.0, 1.0, FAULT],
        [1.0, 0.0, FAULT],
        [0.0, 1.0, 1.0],
    ]
    queue = Queue(lambda prompt, sample: kinds[prompt % 4][sample], min, of_each=3)
    buffer = broken(buffer_on, queue, metric=metric)
    batch, _ = buffer.sample(1, "train", 4)
    assert {int(key.split("_")[0][-6:]) % 4 for key in batch.keys} == {2, 3}, "only these have a signal"
    judged = buffer.judged
    assert 0.2 < judged.share < 0.6 and judged.episodes == 3 * judged.prompts
    spoilt = Queue(lambda prompt, sample: kinds[prompt % 4][sample], min, of_each=3)
    spoilt.draw(4)
    batch, _ = buffer_on(spoilt, metric=metric).sample(1, "train", 4)
    assert {int(key.split("_")[0][-6:]) % 4 for key in batch.keys} == {0, 1, 2, 3}, "which verl takes"


@pytest.mark.parametrize("whole_rounds", [True, False])
def test_where_every_environment_fails_the_step_ends_and_says_so(buffer_on: Any, whole_rounds: bool) -> None:
    queue = Queue(lambda prompt, sample: FAULT, min)
    with pytest.raises(
        UserError, match=r"failed in all episodes of step 1 \(.*nobody listens; environment_f"
    ):
        broken(buffer_on, queue, whole_rounds=whole_rounds, limit=400).sample(1, "train", 4)
    assert queue.drawn < 30


def test_groups_that_faults_emptied_are_told_apart_from_those_that_all_scored_the_same(
    buffer_on: Any,
) -> None:
    queue = Queue(lambda prompt, sample: FAULT if sample else 1.0, min)
    with pytest.raises(UserError, match=r"the environment failed in \d+ of \d+ episodes, which do not count"):
        broken(buffer_on, queue, limit=20).sample(1, "train", 4)


@pytest.mark.parametrize("metric", [None, "reward"])
def test_a_prompt_whose_samples_failed_ends_the_step(buffer_on: Any, metric: str | None) -> None:
    """verl would train on the other prompts without a word, or send weights to a dead engine forever."""
    queue = Queue(lambda prompt, sample: float(sample), min, failing=(2,))
    queue.draw(4)
    with pytest.raises(RuntimeError, match=r"the samples of 1 prompts could not be made \(00000001-000002\)"):
        buffer_on(queue, metric=metric).sample(1, "train", 4)


class Rollout:
    """Stands in for Ray and one agent worker, which dies after so many looks."""

    def __init__(self, looks: Any, busy: bool = False) -> None:
        self.looks, self.busy, self.asked = looks, busy, 0
        self.__ray_ready__ = self

    def remote(self) -> Any:
        self.asked += 1
        return object()

    def wait(self, answers: Any, num_returns: Any, timeout: Any) -> Any:
        dead = self.asked > self.looks
        return (list(answers), []) if dead or not self.busy else ([], list(answers))

    def get(self, answer: Any) -> None:
        if self.asked > self.looks:
            raise RuntimeError("the actor died")


def test_a_process_that_died_is_noticed_while_its_samples_are_awaited(
    buffer_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl does not look after the calls it gave to its agent workers, and waits forever."""
    import sys

    from funreason_train.rl.train.liveness import Liveness

    worker = Rollout(looks=3)
    monkeypatch.setitem(sys.modules, "ray", worker)
    queue = Queue(None, min)
    queue.draw(4)
    monkeypatch.setattr(queue, "poll", lambda: None)  # nothing is ever done
    buffer = buffer_on(queue)
    buffer.liveness = Liveness([worker], every=0.0)
    with pytest.raises(RuntimeError, match="the actor died"):
        buffer.sample(1, "train", 4)


def test_a_busy_process_is_asked_once_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from funreason_train.rl.train.liveness import Liveness

    worker = Rollout(looks=3, busy=True)
    monkeypatch.setitem(sys.modules, "ray", worker)
    liveness = Liveness([worker], every=0.0)
    for _ in range(5):
        liveness.look()
    assert worker.asked == 1
    patient = Liveness([worker], every=60.0)
    patient.look()
    patient.look()
    assert worker.asked == 2
