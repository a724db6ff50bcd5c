"""An MCP server without any SDK that does what servers should not; one bad habit a word.

python hostile_server.py [flood] [garbage] [invalid-utf8] [deaf] [no-tools] [twice] [unsteady] [dump]
                         [dies-later FILE] [third] [deaf-list] [login] [endless] [no-schema] [odd-answers]
                         [odd-names] [echoes] [finds] [busy] [pages]
"""

import json
import os
import random
import sys
import time
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
    if "no-schema" in WORDS:
        either = {"allOf": [{"properties": {"note": {"type": "string"}}, "required": ["note"]}]}
        found += [
            {"name": "bare", "description": ""},
            tool("keep_note", inputSchema=either),
            {
                "name": "wipe",
                "inputSchema": {"type": "object"},
                "annotations": {"destructiveHint": "certainly"},
            },
            {"description": "It has no name."},
        ]
    if "odd-answers" in WORDS:
        found += [tool(name, annotations=READS) for name in ODD]
    if "finds" in WORDS:
        found += [tool("find_note", {"words": {"type": "string"}}), tool("list_notes"), tool("keep_all")]
        found += [tool(name, {"words": {"type": "string"}}) for name in ("create_notes", "remove_notes")]
    if "echoes" in WORDS:
        zones = {name: {"type": "string"} for name in ("from_zone", "to_zone", "hour")}
        found.append(tool("convert", zones, annotations=READS, description="Converts an hour."))
    if "odd-names" in WORDS:
        options = {f"option_{number}": {"type": "integer"} for number in range(60)}
        found += [
            tool("files.read/all", {"a.b": {"type": "string"}}, description="Reads files.read/all. Slowly."),
            tool("größe-ändern", {"größe": {"type": "integer"}}, description="Changes the size."),
            tool("configure", options, description="Sets all options."),
        ]
    return found


#: Tool -> what it answers with, as JSON, in place of a result.
ODD = {
    "no_content": "{}",
    "unknown_part": '{"content": [{"type": "hologram"}]}',
    "half_a_letter": '{"content": [{"type": "text", "text": "a \\ud800 b"}]}',
    "not_a_number": '{"content": [{"type": "text", "text": "{\\"value\\": NaN}"}]}',
    "without_end": '{"content": [], "structuredContent": {"value": 1e999}}',
    "empty_list": '{"content": [], "structuredContent": {"items": []}}',
    "a_long_line": json.dumps({"content": [{"type": "text", "text": "x" * 2_000_000}]}),
}
NOTE = {"note": ""}


def answer(name: str, arguments: dict[str, Any]) -> str:
    if name == "set_note":
        NOTE["note"] = str(arguments.get("note"))
        return "done"
    if name == "create_notes" and arguments["words"] == "silent":
        return ""
    if name in ("find_note", "list_notes", "keep_all", "create_notes", "remove_notes"):
        held = [NOTE["note"]] if NOTE["note"] else []
        return json.dumps([one for one in held if str(arguments.get("words", "")) in one])
    if name == "convert":
        zones = {key: {"zone": arguments[f"{key}_zone"], "hour": arguments["hour"]} for key in ("from", "to")}
        return json.dumps({**zones, "shift": "+3"})
    if name == "make_id":
        return str(random.random())
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
    calls = 0
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
            if "login" in WORDS:
                sys.stderr.write("Log in at https://notes.example/device first\n")
                time.sleep(3600)
            version = asked["params"]["protocolVersion"]
            served = {"name": "hostile", "version": "1"}
            say(
                asked["id"], {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": served}
            )
        elif method == "tools/list":
            if "deaf-list" in WORDS:
                time.sleep(3600)
            more = {"nextCursor": "again"} if "endless" in WORDS else {}
            if "pages" in WORDS:
                more = {"nextCursor": str(int(asked.get("params", {}).get("cursor", 0)) + 1)}
            say(asked["id"], {"tools": tools(), **more})
        elif method == "tools/call":
            if "deaf" in WORDS:
                time.sleep(3600)
            if "dies-later" in WORDS and Path(WORDS[WORDS.index("dies-later") + 1]).exists():
                os._exit(3)
            calls += 1
            if "third" in WORDS and calls == 3:
                os._exit(3)
            if "busy" in WORDS and calls == 1:
                error = {"code": -32000, "message": "The notes are locked"}
                sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}) + "\n")
                sys.stdout.flush()
                continue
            if odd := ODD.get(asked["params"]["name"]):
                sys.stdout.write(f'{{"jsonrpc": "2.0", "id": {json.dumps(asked["id"])}, "result": {odd}}}\n')
                sys.stdout.flush()
                continue
            text = answer(asked["params"]["name"], asked["params"].get("arguments") or {})
            say(asked["id"], {"content": [{"type": "text", "text": text}]})
        else:
            refused = {"code": -32601, "message": "no such method"}
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": refused}) + "\n")
            sys.stdout.flush()


serve()
