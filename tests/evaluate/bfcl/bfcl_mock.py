"""BFCL's ground truths as a model's answers, and an OpenAI completions server that gives them.

    bfcl_mock.py answers FILE CATEGORY …   writes every entry's gold answers as JSON
    bfcl_mock.py serve FILE TOKENIZER      serves them; prints its address, one line

The first needs an environment with bfcl-eval, the second the standard library alone. An answer is found by
the entry's id where the request names it (`user`), else by the prompt's first messages, and by how far the
conversation is.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME = "mock"
FACT = "The user's favourite colour is teal."


# --- gold answers ---


def gold_answers(categories: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Per category, the key of an entry's prompts to `{"id", "users", "turns": [[answer, …], …]}`.

    `users` is the number of user messages in the first prompt.
    """
    os.environ.setdefault("BFCL_PROJECT_ROOT", tempfile.mkdtemp(prefix="bfcl-"))
    from funreason_train.evaluate.bfcl import bridge
    from funreason_train.evaluate.bfcl.categories import is_prerequisite

    bridge.load_bfcl()
    found: dict[str, dict[str, Any]] = {}
    for category in categories:
        entries, truths = bridge.load_entries(category, Path(tempfile.gettempdir()))
        single = not category.startswith(("multi_turn", "memory"))
        functions = bridge.functions_to_check(category) if single else {}
        found[category] = {}
        for entry in entries:
            name = entry["id"]
            if single:
                turns = [[single_turn(category, entry, functions[name], truths.get(name))]]
            elif is_prerequisite(name):
                turns = [
                    [remember(category, name, number), "Noted."] for number in range(len(entry["question"]))
                ]
            elif category.startswith("memory"):
                turns = [[str({"answer": truths[name][0], "context": "It was said."})]]
            else:
                turns = multi_turn(entry, truths[name])
            users = [message["content"] for message in entry["question"][0] if message["role"] == "user"]
            made = bridge.handler("bfcl", lambda messages: "")
            made._pre_query_processing_prompting(entry)
            system = "" if category.startswith("memory") else entry["question"][0][0]["content"]
            value = {"id": name, "users": len(users), "turns": turns}
            key = key_of(system, users[0])
            found[category][key if key not in found[category] else name] = value
    return found


def key_of(system: str, user: str) -> str:
    return hashlib.sha1(f"{system}\0{user}".encode()).hexdigest()


def remember(category: str, name: str, turn: int) -> str:
    if category == "memory_kv":
        return f"[core_memory_add(key='fact_{abs(hash(name)) % 1000}_{turn}', value={FACT!r})]"
    if category == "memory_vector":
        return f"[core_memory_add(text={FACT!r})]"
    return f"[memory_append(text={FACT!r})]"


def multi_turn(entry: Mapping[str, Any], truth: list[list[str]]) -> list[list[str]]:
    """Each turn's gold calls as one answer, with every argument named, and a closing text."""
    names = parameters(entry["involved_classes"])
    return [
        [*(["[" + ", ".join(keywords(call, names) for call in turn) + "]"] if turn else []), "Done."]
        for turn in truth
    ]


def parameters(classes: Iterable[str]) -> dict[str, list[str]]:
    from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING

    found = {}
    for name in classes:
        owner = getattr(importlib.import_module(CLASS_FILE_PATH_MAPPING[name]), name)
        for method, function in inspect.getmembers(owner, inspect.isfunction):
            if not method.startswith("_"):
                found[method] = [p for p in inspect.signature(function).parameters if p != "self"]
    return found


def keywords(call: str, names: Mapping[str, list[str]]) -> str:
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    values = dict(zip(names[node.func.id], map(ast.literal_eval, node.args), strict=False))
    values |= {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    return f"{node.func.id}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def single_turn(category: str, entry: Mapping[str, Any], functions: Any, truth: Any) -> str:
    if "irrelevance" in category:
        return "None of the functions can do that."
    if truth is None:  # live_relevance: any call will do
        return f"[{entry['function'][0]['name']}()]"
    spell = {"simple_java": java, "simple_javascript": javascript}.get(category)
    calls = []
    for call in truth:
        ((name, allowed),) = call.items()
        document = next((f for f in functions if f["name"] == name), functions[0])["parameters"]
        required, types = document.get("required", []), document["properties"]
        values = {key: pick(value) for key, value in allowed.items() if "" not in value or key in required}
        spelt = (
            f"{key}={spell(value, types.get(key, {})) if spell else repr(value)}"
            for key, value in values.items()
        )
        calls.append(f"{name}({', '.join(spelt)})")
    return "[" + ", ".join(calls) + "]"


def pick(allowed: Any) -> Any:
    """One value from a list of allowed ones, nested ones likewise."""
    if not isinstance(allowed, list):
        return settle(allowed)
    for value in allowed:
        if value != "" or len(allowed) == 1:
            return settle(value)
    return []


def settle(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: pick(v) for k, v in value.items() if not (isinstance(v, list) and "" in v)}
    return [settle(item) for item in value] if isinstance(value, list) else value


def java(value: Any, schema: Mapping[str, Any]) -> str:
    kind, inner = schema.get("type"), (schema.get("items") or {}).get("type")
    if isinstance(value, list) and kind == "ArrayList":
        quote = "'" if inner == "String" else ""
        text = (
            f"new ArrayList<>(Arrays.asList({', '.join(quote + java_text(v, inner) + quote for v in value)}))"
        )
    elif isinstance(value, list):
        text = f"new {inner}[]{{{', '.join(java_text(v, inner) for v in value)}}}"
    elif isinstance(value, dict):
        puts = " ".join(
            f'put("{k}", {json.dumps(v) if isinstance(v, str) else java_text(v, None)});'
            for k, v in value.items()
        )
        text = f"new HashMap<>() {{{{ {puts} }}}}"
    else:
        text = java_text(value, kind)
        if '"' in text:  # an expression, which BFCL's parser takes as it stands
            return text
    return f'"""{text}"""' if '"' in text else f'"{text}"'


def java_text(value: Any, kind: str | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}L" if kind == "long" else f"{value}f" if kind == "float" else str(value)


def javascript(value: Any, schema: Mapping[str, Any]) -> str:
    if isinstance(value, str):
        return f"'{value}'" if '"' in value else f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(javascript(item, {}) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {javascript(item, {})}" for key, item in value.items()) + "}"
    return json.dumps(value)


# --- the server ---


class Script:
    """What to answer to a prompt.

    Attributes:
        entries: Key of an entry's prompts to its answers (one category of `gold_answers`).
        changed: Entry's id to what is answered instead, whatever is asked.
    """

    def __init__(self, entries: Mapping[str, Any], changed: Mapping[str, str] | None = None) -> None:
        self.entries, self.changed = entries, dict(changed or {})
        self.by_id = {entry["id"]: entry for entry in entries.values()}

    def completion(self, prompt: str, name: str = "") -> str:
        """What follows the prompt's `<think>`; `name` is the entry's id, if the request says it."""
        messages = [part.partition("\n")[::2] for part in prompt.split("<|im_start|>")[1:]]
        texts = [(role, text.removesuffix("\n").removesuffix("<|im_end|>")) for role, text in messages]
        users = [
            number for number, (role, text) in enumerate(texts) if role == "user" and not is_result(text)
        ]
        first, system = texts[users[0]][1], texts[0][1]
        entry = (
            self.by_id.get(name)
            or self.entries.get(key_of("", first))
            or self.entries.get(key_of(system, first))
        )
        if entry is None:
            return "\n?\n</think>\n\nI have not seen this before."
        if entry["id"] in self.changed:
            return self.changed[entry["id"]]
        turn = len(users) - entry["users"]
        step = sum(role == "assistant" for role, _ in texts[users[-1] :]) - 1  # the last is the one to write
        steps = entry["turns"][turn] if turn < len(entry["turns"]) else []
        return f"\nI know this.\n</think>\n\n{steps[step] if step < len(steps) else 'Done.'}"


def is_result(text: str) -> bool:
    """Qwen's template shows tool results as a user's message."""
    return text.startswith("<tool_response>")


class MockServer(ThreadingHTTPServer):
    """An OpenAI completions server; `script` may be exchanged while it runs."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, script: Script, tokenizer: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked = script, 0
        self.tokens = byte_table(tokenizer)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> MockServer:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: MockServer

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.reply(
            {"object": "list", "data": [{"id": NAME, "object": "model", "created": 0, "owned_by": "us"}]}
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["prompt"]
        if not isinstance(prompt, str):
            prompt = b"".join(map(self.server.tokens.__getitem__, prompt)).decode()
        self.server.asked += 1
        text = self.server.script.completion(prompt, str(body.get("user", "")).rpartition("/")[0])
        usage = {"prompt_tokens": 1, "completion_tokens": 7, "total_tokens": 8}
        choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        about = {"id": "x", "object": "text_completion", "created": 0, "model": NAME}
        self.reply({**about, "choices": [choice], "usage": usage})


def byte_table(tokenizer: Path) -> list[bytes]:
    """Token id to its bytes, from the `tokenizer.json` of a byte-level BPE."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]  # GPT-2's printable stand-ins for bytes
    hidden = [byte for byte in range(256) if byte not in shown]
    back = {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(hidden)}
    value = json.loads(tokenizer.read_text(encoding="utf-8"))
    added = {one["id"]: one["content"].encode() for one in value["added_tokens"]}
    table = {
        n: bytes(map(back.__getitem__, token))
        for token, n in value["model"]["vocab"].items()
        if n not in added
    }
    table |= added
    return [table[number] for number in range(len(table))]


def make_model(folder: Path, texts: Iterable[str], vocabulary: int) -> Path:
    """A model folder without weights: a byte-level tokenizer with the protocol's chat template."""
    from funreason_train.models.tokenizer import train_tokenizer, wrap_tokenizer

    wrap_tokenizer(train_tokenizer(texts, vocabulary)).save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "qwen3", "max_position_embeddings": 262144}')
    return folder


def main(arguments: list[str]) -> None:
    if arguments[0] == "answers":
        Path(arguments[1]).write_text(json.dumps(gold_answers(arguments[2:])), encoding="utf-8")
        return
    entries = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    both = {f"{c}/{k}": v for c, part in entries.items() for k, v in part.items()}
    both |= {key: value for part in entries.values() for key, value in part.items()}
    with MockServer(Script(both), Path(arguments[2])) as server:
        print(server.url, flush=True)
        sys.stdin.read()  # until whoever started us is gone


if __name__ == "__main__":
    main(sys.argv[1:])
