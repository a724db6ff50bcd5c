"""The SFT stage: exported rows -> tokens -> LLaMA-Factory in Ray Train -> a verified HF folder."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cluster import Profile, gpu_problem
from ..errors import refuse
from ..models.attention.maskable import unmaskable
from ..models.folder import local_folder, model_problems, quantised_problems, read_config
from ..models.frameworks.known import family_problem
from ..models.weights import stored_tensors, weight_defects
from ..parity import gate
from ..run.files import read_json, read_lines, write_json
from ..run.parallel import import_meanwhile
from ..run.process import call_in_process
from ..run.progress import report
from ..run.stage import Decides, Plan, Stage, model_files
from ..run.stop import STOPPED
from .brief import lines as brief_lines
from .brief import saving
from .cost import cost
from .heldout.beside import of_run, play_waiting
from .heldout.check import line as held_out_line
from .heldout.check import problems as held_out_problems
from .heldout.record import HeldOut
from .llamafactory import deepspeed
from .llamafactory.arguments import Paths, argument_problems, batch_of, compose, objective_of, tree_of
from .publish import ADAPTER, publish, take_over
from .resume import refuse_fewer_steps, refuse_other_workers, workers_record
from .tokens import dataset
from .train import checkpoints
from .train.worker import DONE, MERGED, clear_final

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ..run.paths import RunDir

#: Quantisations that LLaMA-Factory undoes before it trains (model/model_utils/quantization.py).
_UNPACKED = ("fp8", "mxfp4")


def check(config: DictConfig, run: RunDir) -> list[str]:
    """Every problem that shows before a framework starts, except what an earlier stage has yet to make."""
    problems = argument_problems(config)
    paths = Paths.of(config, run)
    if config.sft.data or paths.data.is_dir():
        problems += dataset.data_problems(paths.data, _datasets(config))
    problems += held_out_problems(config, run, later=True)
    return problems + _model_problems(config.sft.model, run) + _tree_problems(config)


def brief(config: DictConfig, run: RunDir) -> list[str]:
    """What the run comes to, in a few lines."""
    played = held_out_line(config, run)
    return [*brief_lines(config, Paths.of(config, run)), *([f"held-out: {played}"] if played else [])]


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Trains, or continues an interrupted training, and returns the figures of the result.

    Raises:
        UserError: for everything that the user can fix, before the cluster is touched.
    """
    paths = Paths.of(config, run)
    problems = check(config, run) + dataset.data_problems(paths.data, _datasets(config))
    problems += held_out_problems(config, run, later=False)
    machine = [text for text in (gpu_problem(Profile.of(config.cluster)), _kernel_problem(config)) if text]
    refuse([*machine, *problems])
    base = local_folder(config.sft.model)  # a hub id is fetched here, once, and not by every worker
    arguments, batch = {**compose(config, paths), "model_name_or_path": str(base)}, batch_of(config)
    print("\n".join(brief(config, run)), flush=True)
    refuse_other_workers(config, paths, None)
    import_meanwhile("torch", "pandas", "pyarrow.dataset")  # as Ray Train will
    rows = _tokenised(config, paths, arguments)
    refuse_other_workers(config, paths, rows.identity)
    total = config.sft.max_steps or batch.steps(rows.sequences, config.sft.epochs)
    refuse_fewer_steps(paths, batch.workers, total)
    arguments = {"cutoff_len": _round_up(rows.longest), **arguments, "tokenized_path": str(rows.folder)}
    if arguments.get("deepspeed") == str(paths.deepspeed):
        write_json(paths.deepspeed, deepspeed.deepspeed_config(config.sft.deepspeed, config.cluster.device))
    write_json(paths.workers, workers_record(config, rows.identity))
    write_json(run.sft / "llamafactory.json", arguments)
    held, plays = HeldOut(run.sft), config.sft.evaluate.every is not None
    done = _finished(paths.checkpoints, total)
    ends = partial(held.fell, config.sft.evaluate.stop_below_best)
    if done is None and not ends():
        _train(config, run, arguments, total)
        done = _finished(paths.checkpoints, total)
    elif plays and not ends():
        play_waiting(config, run)  # of a training that came to its end, but not its last evaluation
    if ends():  # which is no request of the user's
        run.stop("sft").unlink(missing_ok=True)
    elif run.stop("sft").exists() and (done is None or (plays and held.waiting())):
        return {STOPPED: _reached(config, run)}
    elif done is None:
        raise RuntimeError(f"training ended before step {total}; the reason is in the stage's log")
    steps = total if done else _reached(config, run)
    kept = _publish(config, run, base, done)
    loss = done["loss"] if done else _last_loss(paths.metrics)
    played = held.words() if plays else ""
    return {
        "headline": f"{steps} steps, {rows.rows} rows"
        + ("" if loss is None else f", loss {loss:.3f}")
        + f"; {played}" * bool(played),
        "model": str(run.sft_model),
        "steps": steps,
        "rows": rows.rows,
        "tokens_per_epoch": rows.tokens,
        **({"split_tokens_per_epoch": rows.split, "trees": rows.sequences} if rows.split else {}),
        "learned_tokens_per_epoch": rows.learned,
        "longest": rows.longest,
        "loss": loss,
        "parameters": done["parameters"] if done else _parameters(run.sft_model),
        **({"held_out": held.result(kept)} if played else {}),
    }


def _train(config: DictConfig, run: RunDir, arguments: dict[str, Any], total: int) -> None:
    """Trains to step `total`, while held-out tasks are played if they are asked for."""
    from .train.workers import fit

    paths = Paths.of(config, run)
    beside = None if config.sft.evaluate.every is None else of_run(config, run)
    clear_final(paths.checkpoints)
    report(0, total, "starting training workers")
    job = job_of(config, run, arguments, total)
    fit(job, config.cluster, run.sft / "ray", paths.tensorboard, config.sft, beside)


def _publish(config: DictConfig, run: RunDir, base: Path, done: dict[str, Any] | None) -> str:
    """Makes the run's model, and says which it is: `last` or `best`.

    Args:
        config: The configuration.
        run: The run directory.
        base: The model that training started from.
        done: The figures of a training that came to its end; None for one that ended since it had fallen.
    """
    held, folder = HeldOut(run.sft), Paths.of(config, run).checkpoints
    best = held.best() if config.sft.evaluate.keep == "best" else None
    if best is not None:
        publish(held.model(best.step), run.sft_model, base)
        adapter = held.model(best.step) / ADAPTER
    elif done is not None:
        publish(_final(folder), run.sft_model, base)
        adapter = folder
    else:
        adapter = checkpoints.latest_complete(folder, batch_of(config).workers) or folder
        job = {"checkpoint": str(adapter), "out": str(run.sft_model), "base": str(base)}
        call_in_process("funreason_train.sft.publish:make", job)
    if config.sft.finetuning_type == "lora":
        take_over(adapter.glob("adapter_*"), run.sft / ADAPTER)
    return "last" if best is None else "best"


def _last_loss(metrics: Path) -> float | None:
    """The last one that was logged."""
    losses = [line["loss"] for line in read_lines(metrics) if "loss" in line]
    return float(losses[-1]) if losses else None


def _parameters(model: Path) -> int:
    return sum(math.prod(stored.shape) for stored in stored_tensors(model).values())


def tokenise(config: DictConfig, run: RunDir) -> str:
    """Tokenises the rows for a later `run` with the same settings; needs no GPU and no cluster.

    Returns:
        What was made, in a few words.

    Raises:
        UserError: for data and settings that could not be trained on.
    """
    paths = Paths.of(config, run)
    refuse(dict.fromkeys(check(config, run) + dataset.data_problems(paths.data, _datasets(config))))
    arguments = {**compose(config, paths), "model_name_or_path": str(local_folder(config.sft.model))}
    rows = _tokenised(config, paths, arguments)
    return f"{rows.rows} rows, {rows.tokens:,} tokens, the longest {rows.longest}, in {rows.folder}"


def _tokenised(config: DictConfig, paths: Paths, arguments: dict[str, Any]) -> dataset.Tokenised:
    """The rows' tokens, made now unless they are there, after the gate that compares them."""
    gate.ensure(paths.data.parent, str(arguments["model_name_or_path"]), config)
    report(0, None, "tokenising")
    rows = dataset.prepare(
        arguments,
        paths.tokenized,
        config.sft.preprocessing_workers,
        tree_of(config),
        segments=config.sft.loss == "balance",
    )
    if text := saving(rows):
        print(text, flush=True)
    return rows


def job_of(config: DictConfig, run: RunDir, arguments: dict[str, Any], total: int) -> dict[str, Any]:
    """What every training process is handed; see `train.worker.train`.

    Args:
        config: The configuration.
        run: The run directory.
        arguments: LLaMA-Factory's, complete.
        total: Optimizer steps.
    """
    paths = Paths.of(config, run)
    return {
        "arguments": arguments,
        "metrics": str(paths.metrics),
        "failures": str(paths.failures),
        "workers": batch_of(config).workers,
        "total": total,
        "lean": config.sft.lean_forward,
        "stop": str(run.stop("sft")),
        "attention": config.sft.attention,
        "device": config.cluster.device,
        "objective": objective_of(config),
        "held_out": None
        if config.sft.evaluate.every is None
        else {
            "sft": str(run.sft),
            "every": config.sft.evaluate.every,
            "pause": config.sft.evaluate.pause,
            "seconds": config.sft.evaluate.seconds,
            "base": arguments["model_name_or_path"],
        },
    }


def plan(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """What a run would hand to the frameworks; starts and reads nothing.

    Returns:
        `arguments` (LLaMA-Factory's), `deepspeed` (its configuration or None), `workers`, `batch`.
    """
    paths, batch = Paths.of(config, run), batch_of(config)
    named = config.sft.deepspeed in deepspeed.STAGES
    return {
        "arguments": compose(config, paths),
        "deepspeed": deepspeed.deepspeed_config(config.sft.deepspeed, config.cluster.device)
        if named
        else None,
        "workers": batch.workers,
        "batch": {"rows": batch.rows, "per_device": batch.per_device, "accumulate": batch.accumulate},
    }


def _final(folder: Path) -> Path:
    """The trained model's folder below the checkpoints: LoRA's, merged, has one of its own."""
    return folder / MERGED if (folder / MERGED).is_dir() else folder


def _datasets(config: DictConfig) -> list[str]:
    return [config.sft.dataset] + ([config.sft.eval_dataset] if config.sft.eval_steps is not None else [])


def _model_problems(model: str | None, run: RunDir) -> list[str]:
    """Why training cannot start from `model`; a hub id, and what the pipeline has yet to make, pass."""
    if not model or (model == str(run.base_model) and not Path(model).exists()):
        return []
    found = [*model_problems(model), *quantised_problems(model, _UNPACKED)]
    found += filter(None, [family_problem(Path(model), trained=True)])
    return [f"sft.model: {problem}" for problem in found]


def _tree_problems(config: DictConfig) -> list[str]:
    """Why the model's own config.json rules out trees; transformers' defaults are looked at with the rows."""
    model = config.sft.model
    settings = read_config(Path(model)) if config.sft.tree and model and Path(model).is_dir() else None
    why = unmaskable(settings) if settings else None
    return [f"sft.tree: the model {why}. Set sft.tree=false"] if why else []


def _kernel_problem(config: DictConfig) -> str | None:
    """Kernels that the settings ask for and this environment lacks; a dry run need not have them."""
    if config.sft.attention == "fa2" and importlib.util.find_spec("flash_attn") is None:
        return (
            "sft.attention=fa2 needs the package flash-attn, which is not installed; set sft.attention=auto, "
            "which takes torch's own kernel for packed rows"
        )
    if config.sft.liger and importlib.util.find_spec("liger_kernel") is None:
        return (
            "sft.liger: liger-kernel is not installed. Install requirements/gpu.lock, or set sft.liger=false"
        )
    return None


def _finished(folder: Path, total: int) -> dict[str, Any] | None:
    """The figures of a training that reached step `total` and whose final model is whole, or None."""
    try:
        done = dict(read_json(folder / DONE))
    except (OSError, ValueError):
        return None
    whole = done.get("step") == total and not weight_defects(_final(folder))
    return done if whole else None


def _round_up(tokens: int, unit: int = 64) -> int:
    return -(-tokens // unit) * unit


def _reached(config: DictConfig, run: RunDir) -> int:
    """The step of the newest whole checkpoint."""
    latest = checkpoints.latest_complete(Paths.of(config, run).checkpoints, batch_of(config).workers)
    return (checkpoints.read_step(latest) or 0) if latest else 0


def _unused(config: DictConfig) -> Iterator[str]:
    if config.sft.finetuning_type != "lora":
        yield "sft.lora.*"
    if config.sft.max_steps is not None:
        yield "sft.epochs"
    if config.sft.evaluate.keep == "last":  # as in runs from before there was a choice
        yield "sft.evaluate.keep"


STAGE = Stage(
    name="sft",
    title="Supervised fine-tuning (LLaMA-Factory)",
    decides=Decides(
        ("seed", "sft"),
        # Records, validation and checkpoints; what only costs time or memory.
        harmless=(
            "sft.logging_steps",
            "sft.report_to",
            "sft.eval_dataset",
            "sft.eval_steps",
            "sft.per_device_eval_batch",
            *(f"sft.evaluate.{key}" for key in ("every", "benchmark", "tasks", "categories", "limit")),
            *(
                f"sft.evaluate.{key}"
                for key in ("max_model_tokens", "seconds", "pause", "gpu_memory", "stop_below_best")
            ),
            "sft.save_steps",
            "sft.save_total_limit",
            "sft.preprocessing_workers",
            "sft.tokenise_only",
            "sft.dataloader_workers",
            "sft.max_failures",
            "sft.collective_timeout",
            "sft.gradient_checkpointing",
            # How a step is shared out, which matters only to checkpoints: see `refuse_other_workers`.
            "sft.per_device_batch",
            "sft.deepspeed",
        ),
        grows=("sft.epochs", "sft.max_steps"),
        unused=_unused,
    ),
    reads=lambda config, run: [Paths.of(config, run).data, *model_files(config.sft.model)],
    makes=lambda config, run: [run.sft_model / "config.json"],
    folder=lambda config, run: run.sft,
    check=check,
    plan=lambda config, run: Plan(brief(config, run), {"sft.yaml": plan(config, run)}, cost(config, run)),
    run=run,
    nodes=True,
    reached=_reached,
)
