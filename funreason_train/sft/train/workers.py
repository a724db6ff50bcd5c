"""The workers: LLaMA-Factory's training run in Ray Train, on CPU (gloo) or GPU (nccl) alike."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cluster import Profile, connect
from ...cluster.demand import Demand
from ...cluster.environment import thread_variables
from ...errors import UserError
from ...models.hub import offline
from ...run import beat
from . import failures, worker

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ..heldout.beside import Beside

_SPARE_CPUS = 2  # logical, for Ray Train's own controller
_PLACEMENTS = 3  # times that Ray waits for the workers' place, a minute each


def worker_environment(cluster: DictConfig, workers: int, tensorboard: Path) -> dict[str, str]:
    """The environment variables that training processes need besides the profile's own."""
    profile = Profile.of(cluster)
    variables = {
        **thread_variables(profile.threads(workers)),
        "TENSORBOARD_LOGGING_DIR": str(tensorboard),
        **offline(profile.env),
        **beat.inherited(),
        "LLAMAFACTORY_VERBOSITY": os.environ.get("LLAMAFACTORY_VERBOSITY", "WARNING"),
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # would print every line twice
        "RAY_TRAIN_METRICS_ENABLED": "0",  # for a dashboard that does not run
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "1" if profile.joins() else "0",
    }
    if profile.device == "cpu":
        variables["DS_ACCELERATOR"] = "cpu"
    return variables


def fit(
    job: Mapping[str, Any],
    cluster: DictConfig,
    folder: Path,
    tensorboard: Path,
    settings: DictConfig,
    beside: Beside | None = None,
) -> None:
    """Trains; returns when the last worker has finished, with the model verified, and all tasks are played.

    Where one is lost, all are started again from the last checkpoint, up to `max_failures` times, unless
    the failure is one that would come again (see `failures`).

    Args:
        job: See `worker.train`.
        cluster: The configuration node `cluster`.
        folder: Ray Train's own records of this attempt.
        tensorboard: Where event files go.
        settings: The configuration node `sft`.
        beside: Who plays held-out tasks meanwhile.

    Raises:
        UserError: if the cluster is not there, or a training process found an error of settings or data.
        RuntimeError: if training failed, with the first failure's own words.
    """
    workers = int(job["workers"])
    profile = Profile.of(cluster)
    threads = profile.threads(workers)
    environment = worker_environment(cluster, workers, tensorboard)
    os.environ.update({name: value for name, value in environment.items() if name.startswith("RAY_TRAIN_")})
    on_gpu = profile.device == "cuda"
    spare = _SPARE_CPUS + (beside is not None)
    less = "cluster.sft.workers and cluster.cpus_per_worker"
    gpus = beside.gpus if beside else 0
    demand = Demand("SFT", workers, threads, float(on_gpu), spare, less, gpus)
    with (
        connect(cluster, environment, cpus=workers * threads + spare, demand=demand),
        beside or nullcontext(),
    ):
        persist(
            lambda: _attempt(job, profile, folder, settings), Path(job["failures"]), settings.max_failures
        )
        if beside is not None:
            beside.drain()


def persist(attempt: Callable[[], None], notes: Path, retries: int) -> None:
    """Calls `attempt` until it succeeds, fails in a way that will not change, or has failed too often.

    Args:
        attempt: Raises if the workers failed.
        notes: Where its processes leave their notes.
        retries: How often it may be called again.
    """
    before: failures.Failure | None = None
    for left in range(retries, -1, -1):
        failures.forget(notes)
        try:
            return attempt()
        except Exception as error:
            now = failures.first(notes)
            if now is not None and now.user is not None:
                raise UserError(**now.user) from None
            why = failures.hopeless(now, before)
            text = str(now) if now else f"a training process ended without a word ({_short(error)})"
            if why or not left:
                raise RuntimeError(
                    f"{text}; not started again: {why or 'sft.max_failures is used up'}"
                ) from (error if now is None else None)
            print(
                f"the training workers failed and are started again ({left} more at most): {text}", flush=True
            )
            before = now


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _attempt(job: Mapping[str, Any], profile: Profile, folder: Path, settings: DictConfig) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig

    on_gpu = profile.device == "cuda"
    workers = int(job["workers"])
    shutil.rmtree(folder, ignore_errors=True)
    trainer = _trainer_class(own_ray=profile.joins() is None)(
        worker.train,
        train_loop_config=dict(job),
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo", timeout_s=settings.collective_timeout),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=on_gpu,
            resources_per_worker={"CPU": profile.threads(workers), **({"GPU": 1} if on_gpu else {})},
            # GPUs fill node after node; by CPUs alone, all processes could end up on one.
            placement_strategy="PACK" if on_gpu or profile.nodes == 1 else "SPREAD",
        ),
        run_config=RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            # `persist` decides; Ray's controller would retry a placement that timed out forever.
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=_PLACEMENTS),
        ),
    )
    trainer.fit()


def _trainer_class(own_ray: bool) -> Any:
    """Ray Train's trainer without processes that would have nothing to do, each a second or two to start.

    One keeps Ray's own data sets, of which we use none. On a Ray that ends with us, one would ask for more
    nodes, which nobody can give, and one would clean up after us: it asks Ray's dashboard every second
    whether we are alive, and we start none.
    """
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy

    class Fixed(FixedScalingPolicy):
        def after_controller_start(self, train_run_context: Any) -> None:
            pass

        def _maybe_send_resource_request(self) -> None:
            pass

    idle = (DatasetsCallback, PlacementGroupCleanerCallback) if own_ray else (DatasetsCallback,)

    class Trainer(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            return [one for one in super()._create_default_callbacks() if not isinstance(one, idle)]

        def _initialize_and_run_controller(self, **parts: Any) -> Any:
            if own_ray:
                parts["scaling_policy"] = Fixed(self.scaling_config)
            return super()._initialize_and_run_controller(**parts)

    return Trainer
