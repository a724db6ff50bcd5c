"""Stands for the package ray: the nodes are the records that the fake `ray start` left."""

import json
import os
from pathlib import Path


def init(address: str, **_: object) -> None:
    assert address, "a driver needs an address"
    deaf = Path(os.environ["FUNREASON_FAKE_STATE"], "deaf")  # how many more callers the head does not let in
    if deaf.exists() and (left := int(deaf.read_text())):
        deaf.write_text(str(left - 1))
        raise ConnectionError("Failed to connect\n  to the cluster")


def nodes() -> list[dict]:
    folder = Path(os.environ["FUNREASON_FAKE_STATE"], "nodes")
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]
