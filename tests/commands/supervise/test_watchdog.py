"""What counts as a hang: who says the same for too long while it is at work, or all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from funreason_train.commands.supervise.watchdog import Watch
from funreason_train.run.beat import IDLE, Beat


def sign(who: str, step: int = 1, phase: str = "step", pid: int = 1) -> Beat:
    return Beat(who, pid, "node", phase, step, 0)


def said(*beats: Beat) -> dict[str, Beat]:
    return {one.who: one for one in beats}


def test_a_rank_that_stays_behind_is_named_first() -> None:
    watch = Watch(hang_seconds=10, start_seconds=60, began=0)
    watch.look(said(sign("training.0", 5), sign("training.1", 5)), 0)
    watch.look(said(sign("training.0", 6), sign("training.1", 5)), 1)
    hang = watch.look(said(sign("training.0", 6), sign("training.1", 5)), 12)
    assert hang is not None and [one.who for one in hang.silent] == ["training.1", "training.0"]
    assert str(hang).startswith("training.1 (step at step 5) has not moved for 12 s") and "1 more" in str(
        hang
    )


def test_who_waits_for_work_does_not_hang_while_another_moves() -> None:
    watch = Watch(10, 10, 0)
    for now in range(100):
        assert watch.look(said(sign("training.0", 1, IDLE), sign("agent.7", now)), now) is None


def test_but_all_of_them_waiting_is_a_hang() -> None:
    watch = Watch(10, 10, 0)
    waiting = said(sign("training.0", 1, IDLE), sign("stage", 3, IDLE))
    assert watch.look(waiting, 0) is None and watch.look(waiting, 9) is None
    assert watch.look(waiting, 11) is not None


def test_before_the_first_step_there_is_more_time() -> None:
    watch = Watch(10, 60, 0)
    loading = said(sign("training.0", -1, "loading the model"))
    watch.look(loading, 0)
    assert watch.look(loading, 50) is None and watch.look(loading, 61) is not None


def test_a_run_of_long_steps_is_given_ten_of_them() -> None:
    watch = Watch(10, 60, 0)
    for step in range(1, 4):
        assert watch.look(said(sign("training.0", step)), step * 8.0) is None
    assert watch.look(said(sign("training.0", 3)), 24 + 79) is None
    assert watch.look(said(sign("training.0", 3)), 24 + 81) is not None


def test_a_process_that_took_another_s_place_starts_anew() -> None:
    watch = Watch(10, 20, 0)
    watch.look(said(sign("training.0", 9, pid=1)), 0)
    assert watch.look(said(sign("training.0", -1, "loading", pid=2)), 9) is None
    assert watch.look(said(sign("training.0", -1, "loading", pid=2)), 25) is None
    assert watch.look({}, 100) is None, "who has gone does not hang"


@given(some.lists(some.tuples(some.floats(0.1, 9.9), some.integers(0, 3)), max_size=60))
def test_whoever_moves_within_the_limit_never_hangs(moves: list[tuple[float, int]]) -> None:
    watch, now, steps = Watch(10, 10, 0), 0.0, [0, 0, 0, 0]
    for gap, _ in moves:
        now += gap
        steps = [step + 1 for step in steps]  # all move at every look
        assert watch.look(said(*(sign(f"r.{n}", step) for n, step in enumerate(steps))), now) is None
