"""Task files of one's own with rows that nobody expects, and endpoints that are none."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evaluate.scripted import TASKS
from evaluate.test_custom import STEPS, write_parquet

from funreason_train.errors import UserError
from funreason_train.evaluate.custom import read_own_tasks, read_rows
from funreason_train.evaluate.serve.endpoint import choose_served, served_models

Change = Callable[[dict[str, Any]], Any]


def changed(**more: Any) -> str:
    return json.dumps({**TASKS[1].to_json(), **more}) + "\n"


TURN = TASKS[1].to_json()["turns"][0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (changed(id=7), "its id is 7, and a text is needed"),
        (changed(category=None), "its category is None, and a text is needed"),
        (changed(config=[]), "its config is [], and an object is needed"),
        (changed(tools=[1]), "its tools are not a list of names"),
        (changed(turns=[]), "it has no user turn"),
        (changed(turns=[{**TURN, "user": None}]), "user of turn 0 is None, and a text is needed"),
        (changed(turns=[{**TURN, "text": None}]), "text of turn 0 is None, and a text is needed"),
        (
            changed(turns=[{**TURN, "steps": [[{"name": 1, "arguments": {}}]]}]),
            "a gold call of turn 0 has no name",
        ),
        ("[" * 100_000 + "\n", "RecursionError"),
    ],
)
def test_a_task_of_another_shape_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    """A number as an id ended the engine after it had loaded; a task without turns counted as right."""
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps(TASKS[0].to_json()) + "\n\n" + line)
    with pytest.raises(UserError) as told:
        read_own_tasks(file)
    assert "line 3 is not a task" in str(told.value) and said in str(told.value)


def test_a_mark_of_the_encoding_and_empty_lines_are_no_tasks(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    lines = [json.dumps(task.to_json()) for task in TASKS[:3]]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode() + b"\r\n \r\n")
    assert [task.id for task in read_own_tasks(file)] == [task.id for task in TASKS[:3]]


def test_tasks_with_the_same_id_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(TASKS[n].to_json()) + "\n" for n in (0, 1, 0)))
    with pytest.raises(UserError, match=rf"have the same id \({TASKS[0].id}\)"):
        read_own_tasks(file)


def test_rows_of_another_shape_are_told_with_their_number(tmp_path: Path) -> None:
    """Content that is missing stood in the prompt as "None"."""
    whole = pq.read_table(write_parquet(tmp_path / "good", STEPS[:2])).to_pylist()
    changes: list[tuple[Change, str]] = [
        (lambda row: row["prompt"][1].update(content=None), "of 'user' with NoneType as content"),
        (lambda row: row["prompt"][1].update(role="human"), "of 'human' with str as content"),
        (lambda row: row["prompt"][1].update(role=None), "of None with str as content"),
        (lambda row: row["reward_model"].update(ground_truth=None), "it is not a JSON string"),
        (lambda row: row["reward_model"].update(ground_truth="[" * 100_000), "it is not JSON"),
    ]
    file = tmp_path / "x.parquet"
    for change, said in changes:
        rows = json.loads(json.dumps(whole))
        change(rows[1])
        pq.write_table(pa.Table.from_pylist(rows), file)
        with pytest.raises(UserError) as told:
            read_rows(file, {})
        assert "row 1 is not of the RL export's shape" in str(told.value) and said in str(told.value)


def test_a_row_needs_no_more_than_its_prompt_and_its_gold_answer(tmp_path: Path) -> None:
    """Whatever else a data set says of it, and in whichever form: as a text it was a traceback."""
    rows = pq.read_table(write_parquet(tmp_path, STEPS[:2])).to_pylist()
    rows = [{**row, "extra_info": json.dumps(row["extra_info"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert [row.id for row in read_rows(tmp_path / "x.parquet", {})] == ["row 0", "row 1"]


def test_a_row_may_list_the_values_that_it_accepts(tmp_path: Path) -> None:
    (row,) = pq.read_table(write_parquet(tmp_path, STEPS[1:2])).to_pylist()
    truth = json.loads(row["reward_model"]["ground_truth"])
    truth["calls"] = [{"name": "add", "accepted": {"a": [1, 2]}}]
    row["reward_model"]["ground_truth"] = json.dumps(truth)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
    (found,) = read_rows(tmp_path / "x.parquet", {"variant": "bfcl"})
    assert found.gold == "[add(a=1)]"
    with pytest.raises(UserError, match="row 0 cannot be scored"):
        read_rows(tmp_path / "x.parquet", {})


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that says these bytes to whoever asks; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(reply)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}/v1"
        found.shutdown()


@pytest.mark.parametrize(
    "endpoint", ["http://localhost:port/v1", "http://a b/v1", "localhost:8000/v1", "/v1"]
)
def test_an_address_that_cannot_be_one_is_a_sentence(endpoint: str) -> None:
    with pytest.raises(UserError, match="the endpoint does not answer"):
        served_models(endpoint)


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"",
        b"HTTP/1.0 200 OK\r\n\r\n[]",
    ],
)
def test_a_server_of_another_kind_is_a_sentence(reply: bytes) -> None:
    with answering(reply) as endpoint, pytest.raises(UserError, match="the endpoint does not answer"):
        served_models(endpoint)


def test_models_without_a_name_are_passed_over() -> None:
    reply = b'HTTP/1.0 200 OK\r\n\r\n{"data": ["a", {"root": "b"}, {"id": "c"}]}'
    with answering(reply) as endpoint:
        assert choose_served(endpoint, "c", "/nowhere") == "c"
        with pytest.raises(UserError, match="serves c, not d"):
            choose_served(endpoint, "d", "/nowhere")
