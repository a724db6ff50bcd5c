"""From a configuration to what each node is asked and what it has to answer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from ...cluster.preflight import Expected, locked_versions
from ...errors import UserError
from ...run.paths import RunDir
from ..stages import stage_of
from .budget import checkpoint_bytes, host_bytes, parameters

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Tracker -> the variable that names its address, and the address without it; files need none.
_TRACKERS = {
    "wandb": ("WANDB_BASE_URL", "https://api.wandb.ai"),
    "swanlab": ("SWANLAB_API_HOST", "https://api.swanlab.cn"),
    "mlflow": ("MLFLOW_TRACKING_URI", ""),
}
#: Variables with which a tracker writes to files only.
_OFFLINE = {
    "wandb": ("WANDB_MODE", ("offline", "disabled", "dryrun")),
    "swanlab": ("SWANLAB_MODE", ("local",)),
}


@dataclass(frozen=True)
class Needs:
    """What a run needs of its nodes.

    Attributes:
        asked: What each node is asked (`cluster.preflight.facts.gather`).
        expected: What it has to answer.
    """

    asked: Mapping[str, Any]
    expected: Expected


def needs(config: DictConfig, run: RunDir, stages: Sequence[str]) -> Needs:
    """What the stages need of every node.

    Args:
        config: The resolved configuration.
        run: The run directory.
        stages: The stages that are going to run.
    """
    root = str(run.root)
    several, on_gpu = config.cluster.nodes > 1, config.cluster.device == "cuda"
    size = parameters(config.sft.model, config.rl.model)
    asked = {
        "folders": [root],
        "shared": root if several else None,
        "files": sorted(_files(config, run, stages)),
        "hosts": sorted(_hosts(config, stages)),
        "gpu": on_gpu,
    }
    expected = Expected(
        gpus=config.cluster.gpus_per_node if on_gpu else 0,
        nodes=config.cluster.nodes,
        disk=None if size is None else {root: checkpoint_bytes(config, run, stages, size)},
        host_memory=host_bytes(config, size or 0),
        packages=locked_versions(config.cluster.device),
    )
    return Needs(asked, expected)


def _files(config: DictConfig, run: RunDir, stages: Sequence[str]) -> set[str]:
    """What the stages on the nodes read and is there: an earlier stage may have yet to make the rest."""
    read = [path for name in stages if stage_of(name).nodes for path in stage_of(name).reads(config, run)]
    return {str(path.absolute()) for path in read if path.exists()}


def _hosts(config: DictConfig, stages: Sequence[str]) -> Iterator[str]:
    """`NAME:PORT` of each tracker that is asked for, or of the proxy on the way to it."""
    asked = {
        *(config.sft.report_to or [] if "sft" in stages else []),
        *(config.rl.loggers or [] if "rl" in stages else []),
    }
    for tracker in asked & _TRACKERS.keys():
        variable, usual = _TRACKERS[tracker]
        mode, quiet = _OFFLINE.get(tracker, ("", ()))
        address = _address(os.environ.get(variable) or usual, variable)
        if os.environ.get(mode) in quiet or address.scheme not in ("http", "https") or not address.hostname:
            continue
        proxy = getproxies().get(address.scheme)
        if proxy and not proxy_bypass(address.hostname):
            named = f"{address.scheme}_proxy"
            address = _address(proxy if "//" in proxy else f"http://{proxy}", named)
        yield f"{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"


def _address(text: str, variable: str) -> SplitResult:
    """An address taken apart.

    Raises:
        UserError: it is none.
    """
    try:
        found = urlsplit(text)
        _ = found.port  # which is looked at only when it is asked for
    except ValueError as error:
        raise UserError(
            f"is not an address ({error})", where=variable, fix="Write it as https://HOST:PORT"
        ) from None
    return found
