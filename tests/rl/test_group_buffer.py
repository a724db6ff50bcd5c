"""DAPO's filter in verl's replay buffer: it ends, and what it chooses does not depend on timing."""

import itertools
from typing import Any

import pytest
import torch

from funreason_train.errors import UserError

SAMPLES = 2


class Queue:
    """Stands in for TransferQueue and the rollout: one prompt is done at each poll, as `order` picks."""

    def __init__(self, scores: Any, order: Any, failing: Any = ()) -> None:
        self.scores, self.order, self.failing = scores, order, failing
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
            for sample in range(SAMPLES):
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
        return {"rm_scores": torch.tensor(rows)[:, None]}


@pytest.fixture
def buffer_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    from verl.trainer.ppo.v1 import replay_buffer

    from funreason_train.rl.train.group_buffer import BoundedGroups

    def make(queue: Any, whole_rounds: bool = True, limit: Any = None, metric: str = "reward") -> Any:
        monkeypatch.setattr(replay_buffer, "tq", queue)
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


def test_without_the_filter_all_groups_are_taken(buffer_on: Any) -> None:
    queue = Queue(lambda prompt, sample: 0.0, max)
    queue.draw(4)
    batch, figures = buffer_on(queue, metric=None).sample(1, "train", 4)
    assert len({key.split("_")[0] for key in batch.keys}) == 4 and figures == {}
    assert all(a <= b for a, b in itertools.pairwise(sorted(batch.keys)))


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
