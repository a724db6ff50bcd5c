"""The stage `synth`: conversations and executable tasks made in live environments, written as files.

funreason-train synth environments=[shop,travel] agents=offline trajectories=2000 out=made
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import Problem, refuse
from ..pages.table import Table
from ..run.files import fresh_folder, not_ours, write_json
from ..run.fingerprint import digest_file
from ..run.paths import RunDir
from ..run.stage import Decides, Stage
from .makers import make_all
from .names import COUNTS, MAKERS, PHASES
from .settings import problems

if TYPE_CHECKING:
    from omegaconf import DictConfig

_WHERE = ("out", "processes", "limits", "vllm")
"""Settings that say how much may be spent and by whom, not what is made."""

_LEFT_OUT = ("environment", "tool", "why")
_MADE = ("manifest.json", "conversations.jsonl", "tasks", "graph.json", "funnel.json", "card.html")


def check(config: DictConfig, run: RunDir) -> list[Problem]:
    """Every problem that can be seen before anything is made.

    Args:
        config: The whole configuration.
        run: The run directory.
    """
    found = [*problems(config.synth), *not_ours(run.synth, _MADE, ignored=(".samples-", ".funreason"))]
    if not found and _spreads(config):
        from .work.cluster import shared_servers

        found += shared_servers(config.synth, config.cluster.nodes)
    return found


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Makes everything under `synth.out`, or `RUN_DIR/synth`; the manifest comes last.

    Samples that a run was interrupted in stand in a store beside the result, and are not made again; nor are
    those of models and servers where there are to be more of them.

    Args:
        config: The whole configuration.
        run: The run directory.

    Returns:
        `{"out", "conversations": count, "tasks": {split: count}, "headline"}`.

    Raises:
        UserError: everything that `check` finds, and what a maker cannot do.
    """
    from omegaconf import OmegaConf

    refuse(check(config, run))
    settings = cast(dict[str, Any], OmegaConf.to_container(config.synth, resolve=True))
    out, seed = run.synth, config.seed
    if settings["maker"] == PHASES:
        made = _phases(config, settings, seed, out)
    else:
        with fresh_folder(out) as work:
            made = make_all(settings["maker"], settings, seed, work)
            _manifest(work, settings, seed)
    told = ", ".join(f"{number} {split} tasks" for split, number in made["tasks"].items())
    headline = f"{made['conversations']} conversations, {told}"
    left_out = [
        (name, tool, " ".join(why.split())[:200])
        for name, tools in made.get("left_out", {}).items()
        for tool, why in tools.items()
    ]
    return {
        **{"out": str(out), "conversations": made["conversations"], "tasks": made["tasks"]},
        "headline": f"{headline}{made.get('told', '')}",
        "shown": [Table("Tools that are left out", _LEFT_OUT, tuple(left_out), texts=3).to_json()]
        if left_out
        else [],
    }


def _phases(config: DictConfig, settings: dict[str, Any], seed: int, out: Path) -> dict[str, Any]:
    from ..environments.mcp import PREFIX
    from ..environments.registry import is_own
    from .phases import Phases
    from .work.asking import model_spread
    from .work.funnel import in_words
    from .work.workers import Processes, on_ray

    (out / "manifest.json").unlink(missing_ok=True)
    processes = settings["processes"] or len(os.sched_getaffinity(0))
    if settings["agents"] != "offline":
        with model_spread(settings, out.with_name(f"{out.name}.vllm")) as (spread, account):
            phases = Phases(settings, seed, out, spread, account)
            made = phases.run()
    elif _spreads(config):
        from ..cluster import connect
        from .work.cluster import check_nodes

        with connect(config.cluster) as _:
            import ray

            check_nodes(settings)
            cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
            phases = Phases(settings, seed, out, partial(on_ray, cpus=cpus))
            made = phases.run()
    else:
        with Processes(processes, apart=any(map(is_own, settings["environments"]))) as workers:
            phases = Phases(settings, seed, out, workers)
            made = phases.run()
    _manifest(out, settings, seed)
    # What it held stands in the files now; but if there are to be more, what was dear is not made again.
    dear = settings["agents"] != "offline" or any(one.startswith(PREFIX) for one in settings["environments"])
    for path in out.glob(".samples-*"):
        if not (dear and path.name.startswith(phases.store_path.name)):
            path.unlink()
    funnel = made["funnel"]
    accepted = f"{funnel['accepted']} of {funnel['samples']} samples accepted and replayed"
    told = in_words(funnel, phases.sampling, settings["query"]["style"])
    made["told"] = f"; {told}; {accepted}; see {out / 'card.html'}"
    return made


def _spreads(config: DictConfig) -> bool:
    """Whether samples are Ray tasks."""
    synth, cluster = config.synth, config.cluster
    return synth.maker == PHASES and synth.agents == "offline" and bool(cluster.nodes > 1 or cluster.address)


def _manifest(folder: Path, settings: Mapping[str, Any], seed: int) -> None:
    """Says what was made and by which settings; the same run writes the same bytes."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    named = sorted(path for path in files if not path.name.startswith("."))
    prompts = Path(__file__).with_name("prompts")
    value = {
        "format": 1,
        "outputs": {str(path.relative_to(folder)): digest_file(path) for path in named},
        "config": {key: value for key, value in settings.items() if key not in _WHERE},
        "prompts": {path.name: digest_file(path) for path in sorted(prompts.glob("*.md"))},
        "seed": seed,
    }
    write_json(folder / "manifest.json", value)


_OF_ANY_MAKER = ("maker", *COUNTS)


def _unused(config: DictConfig) -> Iterator[str]:
    synth = config.synth
    other = [name for name in MAKERS if name not in (PHASES, synth.maker)]
    if synth.maker != PHASES:
        other += [name for name in synth if name not in (*_OF_ANY_MAKER, synth.maker)]
    elif synth.agents == "offline":
        other += ["model", "roles", "sampling"]
    yield from (f"synth.{name}{rest}" for name in other for rest in ("", ".*"))


STAGE = Stage(
    name="synth",
    title="Making conversations and tasks",
    decides=Decides(
        ("seed", "synth"),
        harmless=(
            "synth.processes",
            "synth.limits.*",
            "synth.endpoint",
            "synth.key_variable",
            "synth.vllm.*",
        ),
        grows=tuple(f"synth.{key}" for key in COUNTS),
        unused=_unused,
    ),
    reads=lambda config, run: _reads(config),
    makes=lambda config, run: [run.synth / "manifest.json"],
    folder=lambda config, run: run.synth,
    check=check,
    run=run,
    out=lambda config: config.synth.out,
)


def _reads(config: DictConfig) -> list[Path]:
    from .work.inputs import files_of_servers, files_read

    return [*files_read(config.synth), *files_of_servers(config.synth)]
