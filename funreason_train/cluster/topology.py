"""What is told to each node, and by which network interface nodes reach each other."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..settings.places import group_choices
from .profile import Profile

if TYPE_CHECKING:
    from omegaconf import DictConfig


_REPOSITORY = Path(__file__).resolve().parents[2]


def node_commands(
    cluster: DictConfig | Mapping[str, Any],
    stage: str,
    words: Sequence[str] = (),
    here: Path = _REPOSITORY,
) -> list[str]:
    """The command of each node, by rank; on one machine without GPUs the stage's own command.

    A launch script makes the environment of the machine's device, which the one that plans may not have.

    Args:
        cluster: The configuration node `cluster`.
        stage: The command.
        words: The user's settings, without `dry_run`.
        here: The folder in which they will be given.
    """
    profile = Profile.of(cluster)
    shipped, kept = chosen_profile(profile, words)
    tail = "".join(f" {shlex.quote(word)}" for word in kept)
    named = f" cluster={profile.name}" if shipped else ""
    alone = profile.nodes == 1 and profile.device == "cpu"
    if alone or not (_REPOSITORY / "launch" / "stage.sh").is_file():
        return [f"funreason-train {stage}{named}{tail}"]
    own = f"launch/{stage}_{profile.name}.sh"
    # A script of a profile chooses that profile, so it does not do for one that only has the same name.
    if shipped and profile.nodes > 1 and (_REPOSITORY / own).is_file():
        script = f"{_script(own, here)}{tail}"
    else:
        script = f"{_script('launch/stage.sh', here)} {stage}{named}{tail}"
    if profile.nodes == 1:
        return [f"bash {script}"]
    return [
        f"NNODES={profile.nodes} NODE_RANK={rank} HEAD_ADDR=ADDRESS_OF_NODE_0 bash {script}"
        for rank in range(profile.nodes)
    ]


def _script(name: str, here: Path) -> str:
    return name if here == _REPOSITORY else shlex.quote(str(_REPOSITORY / name))


def chosen_profile(profile: Profile, words: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether `cluster=NAME` with the profile's own name chooses it, and the other words.

    A file of the user's own may have the name of a shipped profile, and one that a recipe or a word has
    renamed can be had by the same words only; then they stay as they are.
    """
    said = [word.partition("=")[2] for word in words if word.startswith("cluster=")]
    if (said[-1] if said else profile.name) != profile.name or profile.name not in group_choices()["cluster"]:
        return False, list(words)
    return True, [word for word in words if not word.startswith("cluster=")]


def source_address(peer: str, port: int = 9) -> str | None:
    """This machine's address on the route to `peer`, or None if there is no route. Sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, port))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def interface_of(address: str, addresses: Mapping[str, Sequence[str]]) -> str | None:
    """The interface that holds `address`.

    Args:
        address: An IPv4 address of this machine.
        addresses: Interface -> its addresses.
    """
    return next((name for name, held in sorted(addresses.items()) if address in held), None)


def interface_variables(peer: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make gloo and NCCL use the route to `peer`; what the user set stays.

    Servers with one management and eight fabric interfaces otherwise pick by name (sglang#4978).

    Args:
        peer: The head's address (MASTER_ADDR).
        environ: The worker's environment.
    """
    import psutil

    address = source_address(peer)
    held = {
        name: [entry.address for entry in entries if entry.family == socket.AF_INET]
        for name, entries in psutil.net_if_addrs().items()
    }
    interface = interface_of(address, held) if address else None
    if interface is None or interface == "lo":
        return {}
    # "=" makes NCCL take this very name; otherwise eth1 would also match eth10.
    wanted = {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": f"={interface}"}
    return {name: value for name, value in wanted.items() if name not in environ}
