"""An MCP server without any SDK that does what servers should not; one bad habit a word.

python hostile_server.py [flood] [garbage] [invalid-utf8] [deaf] [no-tools] [twice] [unsteady] [dump]
                         [dies-later FILE]
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

WORDS = sys.argv[1:]
READS = {"readOnlyHint": True}
TOLD = {"get_note": "Shows the note that was kept.", "set_note": "Keeps a note, as set_note does."}


def tool(name: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters or {}, "required": list(parameters or {})}
    return {"name": name, "description": TOLD.get(name, ""), "inputSchema": schema, **more}


def tools() -> list[dict[str, Any]]:
    if "no-tools" in WORDS:
        return []
    found = [tool("get_note", annotations=READS), tool("set_note", {"note": {"type": "string"}})]
    if "twice" in WORDS:
        found.append(tool("get_note", {"other": {"type": "string"}}))
    if "unsteady" in WORDS:
        found += [tool("make_id", {"title": {"type": "string"}}), tool("tell_time", annotations=READS)]
    if "dump" in WORDS:
        found.append(tool("dump_environment", annotations=READS))
    return found


NOTE = {"note": ""}


def answer(name: str, arguments: dict[str, Any]) -> str:
    if name == "set_note":
        NOTE["note"] = str(arguments.get("note"))
        return "done"
    if name == "make_id":
        return str(uuid.uuid4())
    if name == "tell_time":
        return time.strftime("%H:%M:%S")
    if name == "dump_environment":
        return json.dumps(dict(os.environ))
    return json.dumps(NOTE)


def say(identity: Any, result: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": identity, "result": result}) + "\n")
    sys.stdout.flush()


def serve() -> None:
    if "flood" in WORDS:
        for _ in range(400):
            sys.stderr.write("noise " * 1000 + "\n")
    for line in sys.stdin:
        asked = json.loads(line)
        if "garbage" in WORDS:
            sys.stdout.write("Server ready!\n\n{not json\n")
        if "invalid-utf8" in WORDS:
            sys.stdout.flush()
            sys.stdout.buffer.write(b"\xff\xfe log\n")
        if "id" not in asked:
            continue
        method = asked["method"]
        if method == "initialize":
            version = asked["params"]["protocolVersion"]
            served = {"name": "hostile", "version": "1"}
            say(
                asked["id"], {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": served}
            )
        elif method == "tools/list":
            say(asked["id"], {"tools": tools()})
        elif method == "tools/call":
            if "deaf" in WORDS:
                time.sleep(3600)
            if "dies-later" in WORDS and Path(WORDS[WORDS.index("dies-later") + 1]).exists():
                os._exit(3)
            text = answer(asked["params"]["name"], asked["params"].get("arguments") or {})
            say(asked["id"], {"content": [{"type": "text", "text": text}]})
        else:
            refused = {"code": -32601, "message": "no such method"}
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": refused}) + "\n")
            sys.stdout.flush()


serve()
