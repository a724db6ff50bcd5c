"""What a rehearsal leaves unproven, found by comparing what the frameworks get here and there (pure).

Numbers that are merely smaller are the point of a rehearsal. What is not rehearsed is everything else that
differs: another kernel, another number format, a switch that is off, a count of which one is no small case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: Counts of which 1 is another thing than several: nothing is shared out, gathered or awaited any more.
_SHARED_OUT = re.compile(
    r"parallel|n_gpus_per_node|gpus_per_node|accumulat|fsdp_size|num_workers|workers_per_node|updates"
)
#: What a rehearsal names otherwise without proving less, and what no run of ours uses.
_NAMES = re.compile(r"(^|\.)(experiment_name|logger)$|^distillation\.")


class Gap(NamedTuple):
    """One thing that is not rehearsed.

    Attributes:
        part: Where it belongs: machines, model, data, sft, rl, eval.
        what: The setting, as the framework calls it, or the thing.
        there: Its value on the recipe's own machines.
        here: Its value in the rehearsal.
    """

    part: str
    what: str
    there: str
    here: str


def gaps(
    recipe: Mapping[str, Any],
    small: Mapping[str, Any],
    plans: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> list[Gap]:
    """Everything that is not rehearsed.

    Args:
        recipe: The recipe's whole configuration, resolved, on its own machines.
        small: The rehearsal's.
        plans: Stage -> what the frameworks get there and here.
    """
    found = [*_machines(recipe, small), *_sources(recipe, small)]
    for stage, (there, here) in plans.items():
        found += differences(stage, _placed(there, recipe["run_dir"]), _placed(here, small["run_dir"]))
    if "rl" in plans:
        found += differences("rl", {"env": _variables(recipe)}, {"env": _variables(small)})
    if "eval" in small["pipeline"]["stages"]:
        found += differences("eval", _evaluation(recipe), _evaluation(small))
    return [*found, *_trackers(recipe, small)]


def by_value(found: Sequence[Gap]) -> list[Gap]:
    """The same with settings joined that have the same last name and change alike."""
    joined: dict[tuple[str, str, str, str], list[str]] = {}
    for gap in found:
        joined.setdefault((gap.part, gap.what.rsplit(".", 1)[-1], gap.there, gap.here), []).append(gap.what)
    return [Gap(part, ", ".join(names), there, here) for (part, _, there, here), names in joined.items()]


def differences(part: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Gap]:
    """The keys whose values differ otherwise than by being smaller.

    Args:
        part: Their stage.
        there: What a framework gets on the recipe's machines, nested.
        here: The same in the rehearsal.
    """
    left, right = dict(_flat(there)), dict(_flat(here))
    for key in sorted(left.keys() | right.keys()):
        before, after = left.get(key), right.get(key)
        if before != after and not _NAMES.search(key) and not _smaller(key, before, after):
            yield Gap(part, key, shown(before), shown(after))


def _smaller(key: str, before: Any, after: Any) -> bool:
    """Whether the second value is the first one made small, which proves the same."""
    numbers = (int, float)
    if isinstance(before, bool) or isinstance(after, bool) or not isinstance(before, numbers):
        return not isinstance(before, bool) and before is None and isinstance(after, numbers)
    if not isinstance(after, numbers):
        return after is None and not _SHARED_OUT.search(key)
    return not (_SHARED_OUT.search(key) and before > 1 >= after)


def _machines(recipe: Mapping[str, Any], small: Mapping[str, Any]) -> Iterator[Gap]:
    there, here = recipe["cluster"], small["cluster"]
    if there["device"] != here["device"]:
        yield Gap(
            "machines",
            "device, and what belongs to it (NCCL, its memory, its kernels)",
            there["device"],
            here["device"],
        )
    if there["nodes"] != here["nodes"]:
        yield Gap("machines", "nodes", str(there["nodes"]), str(here["nodes"]))
    if there["gpus_per_node"] > 1:
        yield Gap("machines", "training processes of a node", str(there["gpus_per_node"]), "1")
    for name in there["env"]:
        if name not in here["env"]:
            yield Gap("machines", f"environment variable {name}", str(there["env"][name]), "not set")


def _sources(recipe: Mapping[str, Any], small: Mapping[str, Any]) -> Iterator[Gap]:
    there, here = recipe["model"], small["model"]
    if there["path"]:
        stand_in = (
            here["path"] or "a Qwen3 with random weights, its own tokenizer and a template of Qwen's kind"
        )
        yield Gap("model", "weights, tokenizer and chat template", str(there["path"]), str(stand_in))
    made = {name: recipe["data"][name] for name in recipe["data"]["datasets"]}
    for name, source in made.items():
        if name not in small["data"]["datasets"]:
            yield Gap("data", f"data set {name}", str(source["path"]), "rows of the embedded generator")
    if "synth" in recipe["pipeline"]["stages"]:
        for key in ("maker", "agents", "servers"):
            if recipe["synth"][key] != small["synth"][key]:
                yield Gap("synth", key, str(recipe["synth"][key]), str(small["synth"][key]))


def _trackers(recipe: Mapping[str, Any], small: Mapping[str, Any]) -> Iterator[Gap]:
    for part, key in (("sft", "report_to"), ("rl", "loggers")):
        for name in recipe[part][key]:
            if name not in small[part][key]:
                yield Gap(part, f"tracker {name}", "on", "off: it needs a network")


def _variables(config: Mapping[str, Any]) -> Any:
    """What verl's processes find in their environment."""
    return config["rl"]["devices"][config["cluster"]["device"]]["env"]


def _evaluation(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how models are served and what they are asked."""
    found = {
        name: value for name, value in config["eval"].items() if name not in ("models", "tasks", "seeds")
    }
    device = config["cluster"]["device"]
    if found["dtype"] is None:
        found["dtype"] = "auto" if device == "cuda" else "float32"
    if found["eager"] is None:
        found["eager"] = device != "cuda"
    return found


def _placed(node: Any, root: str) -> Any:
    """The same with the run directory's own path as RUN_DIR."""
    if isinstance(node, Mapping):
        return {name: _placed(value, root) for name, value in node.items()}
    if isinstance(node, str) and (node == root or node.startswith(f"{root}/")):
        return f"RUN_DIR{node[len(root) :]}"
    return [_placed(value, root) for value in node] if isinstance(node, list | tuple) else node


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        yield prefix, list(node)
    else:
        yield prefix, node


def shown(value: Any) -> str:
    """A value as a user would write it."""
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
