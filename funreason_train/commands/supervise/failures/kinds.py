"""The kinds of failures: what each one means, whether it can pass by itself, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Again(Enum):
    """Whether a stage is started again after a failure."""

    NEVER = "the same would happen again"
    ONCE = "it is tried once more, and again only after further progress"
    OFTEN = "such failures pass"


@dataclass(frozen=True)
class Kind:
    """A kind of failure.

    Attributes:
        name: As in incidents and tables.
        means: What happened, as a clause that follows "This is a failure of the kind NAME: ".
        again: Whether a new start can help.
        fix: What helps where no sign of the failure knows better, as sentences.
    """

    name: str
    means: str
    again: Again
    fix: str

    def __str__(self) -> str:
        return self.name


MEMORY = Kind(
    "out of memory",
    "a GPU or a machine had no memory left for what was asked of it",
    Again.ONCE,
    "Give each pass fewer tokens or samples (rl.tokens_per_pass, rl.samples_per_pass, sft.per_device_batch), "
    "or run fewer processes on a machine.",
)
DEVICE = Kind(
    "device",
    "a GPU or its driver failed",
    Again.ONCE,
    "Look at `dmesg` and `nvidia-smi -q` on that machine; leave it out (SLURM: --exclude=NODE) if it comes "
    "again.",
)
NETWORK = Kind(
    "network",
    "processes lost each other, or a name, port or server could not be reached",
    Again.OFTEN,
    "Look at the network between the nodes and at the interface that is used (NCCL_SOCKET_IFNAME, "
    "GLOO_SOCKET_IFNAME); `funreason-train doctor` looks at every node.",
)
NODE_LOST = Kind(
    "node lost",
    "a machine of the cluster, or the Ray on it, went away",
    Again.OFTEN,
    "See that the machine is back and that the launch script runs on it; the same command continues.",
)
DISK = Kind(
    "disk",
    "a disk is full, read-only or cannot be read",
    Again.NEVER,
    "Free space on the disk that the message names: the run directory, checkpoints (rl.keep_checkpoints, "
    "sft.save_total_limit), /dev/shm, or Ray's folder (cluster.temp_dir).",
)
DATA = Kind(
    "data",
    "a row, a file of data or a model's file cannot be read or used",
    Again.NEVER,
    "Fix or remove what the message names, or make the data again with `funreason-train data`.",
)
REWARD = Kind(
    "reward",
    "the reward function failed or gave something that is no score",
    Again.NEVER,
    "Try it on your rows: `funreason-train doctor reward=FILE.parquet`; then fix the function.",
)
ENVIRONMENT = Kind(
    "environment",
    "an environment, its sandbox or its server failed",
    Again.OFTEN,
    "See that the servers and programs that the environment needs are there and answer "
    "(docs/environments.md).",
)
CONFIGURATION = Kind(
    "configuration",
    "a setting, a package or a path does not fit",
    Again.NEVER,
    "Change what the message names; dry_run=true and `funreason-train doctor` find most of it before a "
    "start.",
)
HANG = Kind(
    "hang",
    "nothing moved any more, and no process said why",
    Again.OFTEN,
    "Read the stacks: the process that waits for nobody else is the one to look at.",
)
UNKNOWN = Kind(
    "unknown",
    "the log does not tell",
    Again.ONCE,
    "Read the log around the line that is named.",
)
#: In the order of the tables.
KINDS = (
    *(MEMORY, DEVICE, NETWORK, NODE_LOST, DISK),
    *(DATA, REWARD, ENVIRONMENT, CONFIGURATION, HANG, UNKNOWN),
)
