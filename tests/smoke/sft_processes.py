"""LLaMA-Factory's training as the workers run it, without Ray: forked processes that share the imports.

python tests/smoke/sft_processes.py JOBS.json, a list of `{"job": …, "workers": N}`, one after the other.
Before a job with `"copy": [FROM, TO]` that folder, of an earlier one, is copied.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir
from funreason_train.sft.llamafactory.arguments import Paths, batch_of, compose, tree_of
from funreason_train.sft.llamafactory.deepspeed import deepspeed_config
from funreason_train.sft.stage import job_of
from funreason_train.sft.tokens import dataset


def prepared(config: DictConfig, run: RunDir, tokens: Path) -> tuple[dict[str, Any], dataset.Tokenised]:
    """Tokenises as the stage does.

    Args:
        config: The configuration.
        run: The run directory.
        tokens: Where tokens are kept, once for all runs that take the same.

    Returns:
        The job of one pass over the data or of `sft.max_steps`, and what was tokenised.
    """
    paths, batch = Paths.of(config, run), batch_of(config)
    arguments = compose(config, paths)
    tree, segments = tree_of(config), config.sft.loss == "balance"
    rows = dataset.prepare(arguments, tokens / f"{bool(tree)}-{segments}", 1, tree, segments=segments)
    if config.sft.deepspeed:
        write_json(paths.deepspeed, deepspeed_config(config.sft.deepspeed, config.cluster.device))
    total = config.sft.max_steps or batch.steps(rows.sequences, config.sft.epochs)
    arguments = {"cutoff_len": 512, **arguments, "tokenized_path": str(rows.folder)}
    return {"job": job_of(config, run, arguments, total), "workers": batch.workers}, rows


def train(jobs: list[dict[str, Any]], folder: Path) -> None:
    """Runs jobs, each with its own processes; a failure shows the end of what they printed."""
    file = folder / "jobs.json"
    file.write_text(json.dumps(jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LLAMAFACTORY_VERBOSITY": "WARNING"}
    done = subprocess.run(
        [sys.executable, __file__, str(file)],
        env={**environment, "PYTHONPATH": os.pathsep.join([*sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def _main(file: Path) -> int:
    import llamafactory.train.tuner  # noqa: F401  # imported once, for all that are forked
    import torch

    torch.set_num_threads(1)
    for one in json.loads(file.read_text()):
        if "copy" in one:
            shutil.copytree(*one["copy"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = [_fork(one, rank, port) for rank in range(one["workers"])]
        codes = [os.waitpid(child, 0)[1] for child in children]
        if any(codes):
            return 1
    return 0


def _fork(one: dict[str, Any], rank: int, port: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        import torch.distributed as dist

        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(one["workers"]),
            "LOCAL_WORLD_SIZE": str(one["workers"]),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        dist.init_process_group("gloo", rank=rank, world_size=one["workers"])
        dist.destroy_process_group = lambda *_: None  # LLaMA-Factory leaves it to Ray where there is one
        from funreason_train.sft.train.worker import train as work

        work(one["job"])
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
