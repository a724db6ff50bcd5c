"""Which words of a log are the first error: excerpts of logs of runs that ended badly."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from funreason_train.commands.execution.prose import failure
from funreason_train.commands.supervise.failures.cause import Cause, first_cause, in_one_line
from funreason_train.run.process import ChildFailed

SERVER = "\x1b[36m(vLLMHttpServer pid=18617)\x1b[0m "
CORE = f"{SERVER}(EngineCore pid=18860) ERROR 11-25 03:24:42 [core.py:1233] "
OUTER = f"{SERVER}ERROR 11-25 03:24:42 [async_llm.py:704] "
AGENT = "\x1b[36m(AgentLoopWorkerTQ pid=20189)\x1b[0m "
RAYLET = "\x1b[33m(raylet)\x1b[0m "
STEP = "step:1 - global_seqlen/min:62236.0 - actor/entropy:3.7"
BAR = "\rTraining Progress:  33%|███▎      | 1/3 [01:24<02:48, 84.06s/it]"
DEAD = (
    "A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the "
    "problem, check the logs for the dead worker. Lease ID: 05000000c1 Worker ID: 01be85e7 Node ID: 279115d5 "
    "Worker IP address: 192.0.2.2 Worker port: 45791 Worker PID: 20189 Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some common "
    "causes include: (1) the process was killed by the OOM killer due to high memory usage, (2) ray "
    "stop --force was called"
)
#: An exception in the engine: three processes tell of it, one of them why.
ENGINE = [
    STEP,
    f"{BAR}{SERVER}2026-11-25 - WARNING - transfer_queue.utils.common - target_num_threads 8",
    f"{CORE}EngineCore encountered a fatal error.",
    f"{CORE}Traceback (most recent call last):",
    f'{CORE}  File "/x/vllm/v1/engine/core.py", line 1224, in run_engine_core',
    f"{CORE}    engine_core.run_busy_loop()",
    f"{CORE}RuntimeError: CPU Generator does not use offset",
    f"{OUTER}AsyncLLM output_handler failed.",
    f"{OUTER}Traceback (most recent call last):",
    f"{OUTER}vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace "
    "(above) for the root cause.",
    f"{AGENT}Traceback (most recent call last):",
    f"{AGENT}ray.exceptions.RayTaskError(EngineDeadError): \x1b[36mray::vLLMHttpServer.generate()\x1b[39m",
    "Traceback (most recent call last):",
    "RuntimeError: Sync replay buffer selected terminal groups with no materializable trajectories.",
]
#: The engine's process killed from outside.
KILLED = [
    STEP,
    f"{SERVER}WARNING 11-25 05:50:07 [core_client.py:702] [shutdown] MPClient: engine core exited "
    "unexpectedly; starting cleanup",
    *ENGINE[7:],
]
#: SFT: Ray Train gives up waiting once, tries again, and trains.
RETRIED = [
    "\x1b[36m(TrainController pid=590)\x1b[0m Traceback (most recent call last):",
    "\x1b[36m(TrainController pid=590)\x1b[0m     ray.get(",
    "\x1b[36m(TrainController pid=590)\x1b[0m ray.exceptions.GetTimeoutError: Get timed out: some object(s) "
    "not ready.",
]


def cause_of(lines: Sequence[str]) -> Cause:
    """The first cause, which there has to be."""
    cause = first_cause(lines)
    assert cause is not None
    return cause


def test_the_engine_s_own_exception_is_told_from_its_echoes() -> None:
    cause = cause_of(ENGINE)
    assert cause == Cause(7, "EngineCore pid=18860", "RuntimeError: CPU Generator does not use offset")
    assert cause.fix == ""


def test_an_engine_that_was_killed_has_no_exception_of_its_own() -> None:
    cause = cause_of(KILLED)
    assert (cause.line, cause.process) == (2, "vLLMHttpServer pid=18617")
    assert "engine core exited unexpectedly" in cause.error and "dmesg" in cause.fix


def test_ray_s_report_of_a_dead_worker_names_the_process() -> None:
    cause = cause_of([f"{AGENT}Using dataset class: RLHFDataset", STEP, f"{BAR}{RAYLET}{DEAD}"])
    assert (cause.line, cause.process) == (3, "AgentLoopWorkerTQ pid=20189")
    assert cause.error == (
        "A worker died or was killed (Worker unexpectedly exits with a connection error code 2. End of file)"
    )
    assert cause_of([RAYLET + DEAD]).process == "worker pid=20189"


def test_what_went_before_a_healthy_step_did_no_harm() -> None:
    assert cause_of(RETRIED).error.startswith("ray.exceptions.GetTimeoutError")
    healthy = "\x1b[36m(RayTrainWorker pid=1022)\x1b[0m {'loss': '7.532', 'grad_norm': '5.976'}"
    assert first_cause([*RETRIED, healthy]) is None
    assert cause_of([*KILLED[1:], *ENGINE]).error == "RuntimeError: CPU Generator does not use offset"


def test_words_that_go_on_below_belong_to_the_error() -> None:
    """pydantic's, as vLLM ends over a setting."""
    head = "\x1b[36m(vLLMHttpServer pid=11951)\x1b[0m "
    cause = cause_of(
        [
            f"{head}Traceback (most recent call last):",
            f'{head}  File "/x/vllm/engine/arg_utils.py", line 2316, in create_engine_config',
            f"{head}pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig",
            f"{head}  Value error, invalid literal for int() with base 10: '1e-05'",
            "",
            f"{head}  of something else",
        ]
    )
    assert cause.error.endswith("for VllmConfig Value error, invalid literal for int() with base 10: '1e-05'")


def test_a_log_without_an_error_has_no_cause() -> None:
    assert first_cause([]) is None
    warning = 'UserWarning: torchtitan engine is not available: ModuleNotFoundError("No module named")'
    assert first_cause([STEP, warning, f"{SERVER}Traceback (most recent call last):", "  cut off"]) is None


@pytest.mark.parametrize(
    ("error", "part"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "rl.rollout.memory"),
        ("ValueError: No available memory for the cache blocks.", "a larger share"),
        (
            "RuntimeError: [enforce fail] DefaultCPUAllocator: not enough memory: you tried",
            "machine ran out of memory",
        ),
        ("MemoryError", "machine ran out of memory"),
        (
            "ray.exceptions.OutOfMemoryError: 1 worker(s) were killed due to the node running low on memory. "
            "Memory on the node (IP: 192.0.2.2) was 2.54GB used / 23.54GB limit (0.107922)",
            "machine ran out of memory",
        ),
        ("OSError: [Errno 98] Address already in use", "Another process uses the port"),
        ("OSError: [Errno 28] No space left on device", "cluster.temp_dir"),
    ],
)
def test_what_is_known_to_help_is_said(error: str, part: str) -> None:
    cause = cause_of(
        [
            "(WorkerDict pid=7, ip=10.0.0.3) Traceback (most recent call last):",
            f"(WorkerDict pid=7, ip=10.0.0.3) {error}",
        ]
    )
    assert cause == Cause(2, "WorkerDict pid=7", error)
    assert part in cause.fix


def test_an_error_that_ray_carried_over_is_its_last_exception() -> None:
    """As torch's exception reaches the driver: with the worker's traceback inside."""
    carried = (
        "RayTaskError(OutOfMemoryError): \x1b[36mray::WorkerDict.update_actor()\x1b[39m (pid=7)\n"
        '  File "/x/engine_workers.py", line 804, in update_actor\n'
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    )
    assert in_one_line(carried) == "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    assert in_one_line("KeyError: 'x'") == "KeyError: 'x'"


def test_a_failed_stage_says_the_first_error_where_it_stands_and_what_it_led_to(tmp_path: Path) -> None:
    log = tmp_path / "rl.1.log"
    log.write_text("\n".join(ENGINE), encoding="utf-8")
    text = failure(
        "rl", ChildFailed("rl", 1, "RuntimeError: the samples of 4 prompts could not be made"), log
    )
    first, *rest = text.splitlines()
    assert first == (
        "the stage 'rl' failed, first in EngineCore pid=18860: RuntimeError: CPU Generator does not use "
        f"offset (line 7 of {log})"
    )
    assert rest == [
        "  its end: RuntimeError: the samples of 4 prompts could not be made",
        "  the same command continues where it stopped",
    ]
    log.write_text("nothing")
    assert failure("rl", ChildFailed("rl", 1, "KeyError: 'x'"), log).splitlines()[:2] == [
        "the stage 'rl' failed: KeyError: 'x'",
        f"  its log: {log}",
    ]


_words = some.sampled_from(
    [*ENGINE, *KILLED, *RETRIED, RAYLET + DEAD, "", " ", "\r", "(a) (b pid=1) c", "x" * 9000]
)


@given(some.lists(some.one_of(_words, some.text())))
def test_any_log_is_read_and_what_is_quoted_is_short_and_on_one_line(lines: Any) -> None:
    cause = first_cause(lines)
    if cause is not None:
        assert 1 <= cause.line <= len(lines) and cause.error
        assert len(cause.error) <= 300 and "\n" not in cause.error and "\x1b" not in cause.error
    assert len(in_one_line("\n".join(lines))) <= 300
