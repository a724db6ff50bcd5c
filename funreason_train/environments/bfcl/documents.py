"""Which of bfcl-eval's classes can be played, and the documents of their functions; imports nothing of it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ...calls.schema import TYPE_NAMES
from ...errors import UserError

CLASSES: Mapping[str, str] = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
"""bfcl-eval's classes that need neither the network nor another model, and the file of their documents
(`constants/executable_backend_config.py`). No two of them have a function of one name."""


def bfcl_folder() -> Path | None:
    """Where the installed `bfcl-eval` keeps its data, found without importing it; None if it is not there."""
    spec = importlib.util.find_spec("bfcl_eval")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (folder := Path(place) / "data").is_dir():
            return folder
    return None


@cache
def class_documents(class_name: str) -> tuple[dict[str, Any], ...]:
    """A class's functions as `Environment.tools` has them, in bfcl-eval's order.

    What bfcl-eval calls `response` is `returns`; as in its own prompts, no model is shown it.

    Raises:
        UserError: bfcl-eval is not installed.
        KeyError: it is not one of `CLASSES`.
    """
    name = CLASSES[class_name]
    folder = bfcl_folder()
    if folder is None:
        raise UserError(
            f"the environment bfcl/{class_name} needs bfcl-eval, which is not installed",
            fix="Install the extra cpu or gpu of this package, as launch/bootstrap.sh does",
        )
    text = (folder / "multi_turn_func_doc" / f"{name}.json").read_text(encoding="utf-8")
    documents = map(json.loads, filter(None, text.splitlines()))
    return tuple(
        {
            "name": one["name"],
            "description": one["description"],
            "parameters": _json_schema(one["parameters"]),
            **({"returns": _json_schema(one["response"])} if one.get("response") else {}),
        }
        for one in documents
    )


def _json_schema(value: Any) -> Any:
    """BFCL's names of types (dict, float) as JSON schema's, at any depth."""
    if isinstance(value, list):
        return [_json_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: TYPE_NAMES[one] if key == "type" and isinstance(one, str) else _json_schema(one)
        for key, one in value.items()
    }
