"""What a Ray cluster has to have before samples are made on it: every environment, on every node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...environments.mcp import PREFIX
from ...errors import Problem, UserError, refuse
from ..settings import load_all
from .guard import environment_of
from .inputs import servers_of, servers_used

_SECONDS = 120.0  # that a node may take beyond what its servers may take to start


def elsewhere(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What another node has to be told to make environments: plain values, and paths without a folder to
    start from, since workers start in one of their own.

    Args:
        settings: The section `synth`, as plain values.
    """
    servers = settings["servers"]
    return {
        "modules": list(settings["modules"] or ()),
        "servers": str(_absolute(servers)) if servers else None,
        "cassette": {name: str(_absolute(one)) for name, one in settings["cassette"].items() if one},
    }


def check_nodes(settings: Mapping[str, Any]) -> None:
    """Lets every living node of the cluster that Ray is connected to make every environment once.

    Args:
        settings: The section `synth`, as plain values.

    Raises:
        UserError: what cannot be had where; nothing has been made by then.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    refuse(shared_servers(settings, len(nodes)))
    job = {
        **elsewhere(settings),
        "environments": list(settings["environments"]),
        "described": servers_used(settings),
    }
    ask = ray.remote(num_cpus=0, max_retries=0)(lacking)
    calls = {
        str(node.get("NodeName") or node["NodeManagerAddress"]): ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(job)
        for node in nodes
    }
    seconds = _SECONDS + _longest_start(settings)
    told: dict[Problem, list[str]] = {}
    for name, call in calls.items():
        try:
            found = ray.get(call, timeout=seconds)
        except GetTimeoutError:
            found = [Problem(f"its environments are not made within {seconds:g} s")]
        except RayError as error:
            found = [Problem(f"its environments cannot be made ({' '.join(str(error).split())[-200:]})")]
        for problem in found:
            told.setdefault(problem, []).append(name)
    refuse(_with_names(told, len(nodes)))


def shared_servers(settings: Mapping[str, Any], nodes: int) -> Iterator[Problem]:
    """The MCP servers that several nodes cannot use: what resets one for all of them keeps one waiting only
    on its own machine.

    Args:
        settings: The section `synth`, as plain values.
        nodes: Of the cluster.
    """
    if nodes < 2 or not settings["servers"] or settings["cassette"]["replay"]:
        return
    servers = servers_of(settings)
    for name in settings["environments"]:
        server = servers.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        if server is not None and server.url is not None and server.session.reset is not None:
            yield Problem(
                f"the MCP server of {name} has one state for all conversations, which {nodes} nodes would "
                "reset under each other's hands",
                where=f"synth.environments={name}",
                fix="Make its samples on one machine, or start a server for each session (`command`)",
            )


def lacking(job: Mapping[str, Any]) -> list[Problem]:
    """What this machine cannot make of a job's environments; runs on each node.

    Args:
        job: See `elsewhere`; besides `environments` (names) and `described` (`servers_used` at the driver).
    """
    try:
        load_all(job["modules"], job["servers"], job["cassette"])
        here = servers_used({"servers": job["servers"], "environments": job["environments"]})
    except UserError as error:
        return [Problem.of(error)]
    except OSError as error:
        return [Problem(f"a file of the MCP servers cannot be read ({error})")]
    if here != job["described"]:
        return [
            Problem(
                "the file of MCP servers, or a file that session.files names, is another one there",
                where=job["servers"],
                fix="Put them into a folder that all nodes see",
            )
        ]
    return [problem for name in job["environments"] for problem in _cannot_be_made(name)]


def _cannot_be_made(name: str) -> Iterator[Problem]:
    try:
        environment = environment_of(name)()
    except UserError as error:
        yield Problem.of(error)
        return
    try:
        environment.tools()
    except UserError as error:
        yield Problem.of(error)
    finally:
        environment.close()


def _with_names(told: Mapping[Problem, list[str]], nodes: int) -> Iterator[Problem]:
    for problem, names in told.items():
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        where = "every node" if len(names) == nodes else f"node {shown}"
        yield Problem(f"on {where} of the cluster: {problem.what}", problem.where, problem.fix)


def _longest_start(settings: Mapping[str, Any]) -> float:
    return sum(server.session.start_seconds for server in servers_of(settings).values())


def _absolute(path: Any) -> Path:
    return Path(str(path)).expanduser().absolute()
