"""What servers answer, as results that a model can read: texts, values, hidden failures, secrets."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from funreason_train.environments.mcp.answers import (
    counts_none,
    failed_in_part,
    found_nothing,
    result_of,
)
from funreason_train.environments.mcp.reading import value_in
from funreason_train.environments.protocol import Result


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


IMAGE = ImageContent(type="image", data="aGk=", mime_type="image/png")
SOUND = AudioContent(type="audio", data="aGk=", mime_type="audio/wav")
BLOB = EmbeddedResource(
    type="resource",
    resource=BlobResourceContents(uri="demo://blob/1", blob="aGk=", mime_type="application/gzip"),
)
WORDS = EmbeddedResource(type="resource", resource=TextResourceContents(uri="demo://text/1", text="Inside."))
LINK = ResourceLink(type="resource_link", name="report", uri="demo://report")


def answered(*parts: ContentBlock, most: int = 1000, **more: Any) -> Result:
    told = {key: more.pop(key) for key in ("hidden", "aliases") if key in more}
    return result_of(CallToolResult(content=list(parts), **more), most, **told)


def test_what_is_not_text_is_named_and_the_text_stays() -> None:
    result = answered(text("Here it is:"), IMAGE, SOUND, BLOB, WORDS, LINK)
    assert result.ok
    for said in (
        "Here it is:",
        "[image/png, not shown]",
        "[audio/wav, not shown]",
        "Inside.",
        "demo://report",
    ):
        assert said in result.text
    assert "[application/gzip resource demo://blob/1, not shown]" in result.text and "aGk=" not in result.text


@pytest.mark.parametrize("part", [IMAGE, SOUND, BLOB])
def test_an_answer_that_nobody_can_read_is_a_failed_call(part: ContentBlock) -> None:
    assert not answered(part).ok


@pytest.mark.parametrize("part", [IMAGE, SOUND, BLOB])
def test_bytes_are_not_shown_by_way_of_the_structured_content(part: ContentBlock) -> None:
    sent = {"content": [part.model_dump(mode="json", by_alias=True)]}
    assert not answered(part, structured_content=sent).ok
    beside = answered(text("Here it is:"), part, structured_content=sent)
    assert beside.ok and "aGk=" not in beside.text and beside.value is None


@pytest.mark.parametrize(
    "said",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".decode("utf-8", "replace"),
        "%PDF-1.7 \x00\x01",
        json.dumps({"image": base64.b64encode(bytes(range(256))).decode()}),
        "data:image/png;base64," + base64.b64encode(bytes(range(200))).decode(),
    ],
)
def test_bytes_that_are_sent_as_text_are_a_failed_call(said: str) -> None:
    result = answered(text(said))
    assert not result.ok and "is no text" in result.text and len(result.text) < 100


@pytest.mark.parametrize(
    "said", ["a\tb\r\n\fc", "5f" * 200, "ACGT" * 100, "https://x.org/" + "Ab1/" * 40, "\x1b[31mred\x1b[0m"]
)
def test_what_only_looks_like_bytes_is_text(said: str) -> None:
    result = answered(text(said))
    assert result.ok and "\x1b" not in result.text


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ("/a.txt:\nIn it\n\n---\n/b.txt: Error - ENOENT: no such file", True),
        ("/a.txt:\nIn it\n\n---\n/b.txt:\nerror: none", False),
        ("/a.txt:\n/c.txt: Error - ENOENT, says the log", False),
        ('[{"text": "In it"}, {"error": "no such file"}]', True),
        ('[{"text": "In it"}, {"text": "error"}]', False),
        ('{"/a.txt": {"size": 1}, "/b.txt": {"error": "gone"}}', True),
        ('{"results": [{"size": 1}, {"success": false}], "failed": 1}', True),
        ('{"results": [{"size": 1}, {"size": 2}], "failed": 0}', False),
    ],
)
def test_a_call_over_several_things_has_failed_where_one_of_them_has(said: str, failed: bool) -> None:
    result = answered(text(said))
    assert result.ok and failed_in_part(result, {"paths": ["/a.txt", "/b.txt"], "head": 3}) is failed


def test_an_empty_answer_is_one() -> None:
    assert answered() == Result("", True, None)


def test_structured_content_that_the_text_does_not_show_is_shown() -> None:
    content = {"id": 17, "tags": ["new", 'say "hi"\n'], "done": True}
    shown = answered(text("Made it."), structured_content=content)
    assert shown.text.startswith("Made it.\n") and json.loads(shown.text.split("\n", 1)[1]) == content
    for same in (json.dumps(content), json.dumps(content, indent=2), '17: new, say "hi"\n'):
        assert answered(text(same), structured_content=content) == Result(same, True, content)
    wrapped = answered(text("[1, 2]"), structured_content={"result": [1, 2]})
    assert wrapped == Result("[1, 2]", True, {"result": [1, 2]})
    assert answered(structured_content=content).text == json.dumps(content)


def test_structured_content_around_the_text_is_no_value_of_its_own() -> None:
    for key in ("content", "result"):
        assert answered(text("Made it."), structured_content={key: "Made it."}) == Result("Made it.", True)
    listed = answered(text("id: 7"), structured_content={"content": "id: 7"})
    assert listed == Result("id: 7", True, {"id": 7})
    assert answered(structured_content={"result": "Made it."}).value == {"result": "Made it."}


@pytest.mark.parametrize(
    "said",
    [
        "Error: Only SELECT queries are allowed",
        'Database error: near "x": syntax error',
        "Error executing tool f: Invalid timezone",
        "ValueError: 3",
        "Failed to open",
        "Unknown tool: x",
        "Traceback (most recent call last)",
        '{"error": "no such book"}',
        '{"success": false, "message": "no"}',
        '{"status": "error", "message": "Request 3 is closed"}',
        '{"status": "task_not_found", "message": "There is none"}',
        '{"message": "Task not found"}',
        '{"/session/notes": {"result": "error", "reason": "It is a directory", "content": null}}',
        "Document plan.docx does not exist",
        "/session/a.txt: Error - ENOENT: no such file\n---\n/session/b.txt: words",
        '{"status": "already_done"}',
        '{"success": "false", "reason": "locked"}',
        '{"status": 404, "message": "Not Found"}',
        '{"code": 500, "message": "Internal error"}',
        '{"isError": true, "text": "bad"}',
        '[{"error": "no such book"}]',
        '{"results": [{"id": 1, "success": false, "error": "no value"}], "total": 1, "good": 0, "bad": 1}',
        '{"moved": [], "not_found": ["K7"], "target": "shelf"}',
        "Cannot delete: item is locked",
        "Could not find item 3",
        "❌ Task failed: no such task",
        '{"success": true, "deleted_id": 29, "rows_affected": 0}',
        "HTTP 500: boom",
        "404 Not Found",
        "The note milk already exists.",
        "# Task Update\n\n## System Error\n\nThere is no task 7.",
        "## 錯誤\n\n找不到ID為 `x` 的任務。",
        "找不到ID為 `x` 的任務。請確認ID是否正確。",
        "エラー: 不明なID",
        "Fehler beim Lesen: a.txt",
        "Die Notiz 7 wurde nicht gefunden.",
        "Erreur : note introuvable",
        "La nota 7 no existe.",
        "Задача 7 не найдена",
    ],
)
def test_a_failure_that_does_not_say_so_is_one(said: str) -> None:
    assert not answered(text(said)).ok


@pytest.mark.parametrize(
    ("said", "nothing"),
    [
        *(("", True), ("[]", True), (" null ", True), ("No matches found", True), ("no results.", True)),
        *(('{"entities": [], "relations": []}', True), ("There are no open orders found", True)),
        *(("0", False), ("[0]", False), ('{"entities": [], "total": 0}', True), ("Nothing was lost", False)),
        *(('{"success": true, "tags": [], "count": 0}', True), ('{"success": true}', False)),
        *(('{"count": 0}', False), ('{"tags": ["a"], "count": 1}', False)),
        *(("No matches found in a, but one in b", False), ("done", False)),
        *(("# Results\n\n## No Matching Results\n\nTry another word.", True), ("# All\n- milk", False)),
        *(("Commit history:\n", True), ("Staged changes:\n+ milk", False), ("milk: 2", False)),
    ],
)
def test_an_answer_that_holds_nothing(said: str, nothing: bool) -> None:
    assert found_nothing(answered(text(said))) is nothing


def test_an_answer_that_counts_none_looked_for_something() -> None:
    none = answered(text('{"word": "x", "count": 0, "timeline": []}'))
    assert counts_none(none) and found_nothing(none, {"word": "x"})
    assert not counts_none(answered(text('{"count": 2, "timeline": [1, 2]}')))
    assert not counts_none(answered(text('{"timeline": []}')))


def test_an_answer_that_repeats_what_it_was_asked_for_holds_nothing_by_that() -> None:
    answer = answered(text('{"item_id": 18, "outgoing": [], "incoming": []}'))
    assert found_nothing(answer, {"item_id": 18}) and not found_nothing(answer, {"item_id": 7})
    assert not found_nothing(answered(text('{"name": "Ada"}')), {"name": "Ada"})
    assert found_nothing(answered(text('{"item_id": 0, "outgoing": []}')), {"item_id": 0})


def test_an_answer_that_repeats_what_a_call_takes_by_default_holds_nothing_by_that() -> None:
    asked, usual = {"tag": "red"}, {"done": False, "limit": 20, "due": None}
    for said in (
        '{"notes": [], "count": 0, "tag": "red", "done": false, "limit": 20}',
        '{"notes": [], "filters": {"tag": "red", "done": false, "due": null}}',
    ):
        assert found_nothing(answered(text(said)), asked, usual)
        assert not found_nothing(answered(text(said.replace("[]", "[7]"))), asked, usual)
    assert not found_nothing(answered(text('{"notes": [], "locked": false}')), asked, usual)
    assert not found_nothing(answered(text('{"owner": {"tag": "red"}, "notes": []}')), asked, usual)


@pytest.mark.parametrize(
    "said",
    [
        *(
            "No errors found.",
            "Errors: 0",
            '{"error": null, "id": 3}',
            "Operation completed",
            "[]",
            "Ready: 3",
        ),
        '{"status": "planned", "message": "fine"}',
        '{"a.txt": {"result": "error", "reason": "none"}, "b.txt": {"result": "ok", "reason": ""}}',
        '{"id": 3, "name": "job", "status": "failed", "at": 1, "by": 2}',
        "Found three; a fourth was not found in b",
        '{"ok": true, "error": ""}',
        '{"error": false, "name": "n"}',
        '{"errors": [], "n": 1}',
        '{"code": 200, "message": "OK"}',
        '{"code": 404, "colour": "red"}',
        '[{"error": null, "id": 1}, {"error": "late", "id": 2}]',
        "❌ open: milk\n✅ done: bread",
        "404 pages were read",
        "Canned soup is there",
        "## 錯誤報告\n\n1. 登入頁面\n2. 搜尋",
        "# Guide\n\n## Error handling\n\nWrite a log.",
        "Fehlerbericht 7 wurde angelegt",
        "Erreurs corrigées : 3",
    ],
)
def test_what_only_looks_like_a_failure_is_none(said: str) -> None:
    assert answered(text(said)).ok


def test_an_answer_with_a_secret_is_withheld_whole() -> None:
    hidden = {"SHOP_TOKEN": "s3cret-value"}
    for result in (
        answered(text("it is s3cret-value"), hidden=hidden),
        answered(text("done"), structured_content={"env": {"A": "s3cret-value"}}, hidden=hidden),
        answered(text("x s3cret-value"), is_error=True, hidden=hidden),
    ):
        assert not result.ok and "SHOP_TOKEN" in result.text
        assert "s3cret" not in result.text and result.value is None


def test_the_sessions_folder_has_one_name_in_texts_and_values() -> None:
    found = answered(text('{"path": "/tmp/mcp-1/a"}'), aliases={"/tmp/mcp-1": "/session"})
    assert found.text == '{"path": "/session/a"}' and found.value == {"path": "/session/a"}
    sizes = answered(
        text('{"/tmp/mcp-1/a": 7}'),
        structured_content={"/tmp/mcp-1/a": 7},
        aliases={"/tmp/mcp-1": "/session"},
    )
    assert sizes.text == '{"/session/a": 7}' and sizes.value == {"/session/a": 7}


def test_ten_megabytes_are_a_failed_call() -> None:
    result = answered(text("x" * 10_000_000))
    assert not result.ok and "10,000,000 characters; at most 1,000" in result.text


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[{'id': 1, 'name': \"Lamp's\", 'x': None}]", [{"id": 1, "name": "Lamp's", "x": None}]),
        ('Found 2:\n[{"a": 1}]', [{"a": 1}]),
        ('Result: {"id": 7}', {"id": 7}),
        (
            "Commit: abc12\nAuthor: Ada\n\nCommit: de3\nAuthor: Bo",
            [{"commit": "abc12", "author": "Ada"}, {"commit": "de3", "author": "Bo"}],
        ),
        ("- size: 12\n- isFile: true", {"size": 12, "isfile": "true"}),
        ("[FILE] a.txt", None),
        ("It is warm.", None),
        ("Created note 42 with title 'Milk'.", {"note_id": 42}),
        ("✅ Added todo #5: milk", {"todo_id": 5}),
        ("Order A-17 has been created for table 4.", {"order_id": "A-17"}),
        ("Memory stored with ID: 3f2a9c", {"id": "3f2a9c"}),
        ("Event created: id 5", {"id": 5}),
        ("Added 3 tags", None),
        ("Scheduled meeting 2026-03-05 at 10:30", None),
        ("Saved note 2.5 times", None),
        ("User id is 7, order id is 9", None),
        ('Created milestone "May" (m-0).', {"milestone_id": "m-0"}),
        ('Created a note "Milk" (ID: 3f2)', {"note_id": "3f2"}),
        ("To Do:\n  TASK-1 - Buy paint", {"task_id": "TASK-1", "title": "Buy paint"}),
        (
            "Tasks:\n- **T1-4**: no id\n- TODO-1: Paint\n- TODO-2: Sand (due 2026-01-05)",
            [{"todo_id": "TODO-1", "title": "Paint"}, {"todo_id": "TODO-2", "title": "Sand"}],
        ),
        (
            "Document doc-1 - Plan\nType: other\nTags: (none)",
            {"document_id": "doc-1", "title": "Plan", "type": "other", "tags": None},
        ),
        (
            "1. Buy milk (ID: 7)\n2. Rest (ID: 9)",
            [{"id": 7, "title": "Buy milk"}, {"id": 9, "title": "Rest"}],
        ),
        ("[#7] Buy milk\n[#9] Rest", [{"id": 7, "title": "Buy milk"}, {"id": 9, "title": "Rest"}]),
        (
            "Total: 2\n#7 Buy milk\n#9 Rest",
            {"total": 2, "entries": [{"id": 7, "title": "Buy milk"}, {"id": 9, "title": "Rest"}]},
        ),
        ("- [x] Milk\n- [ ] Bread", None),
        ("2026-01-05: nothing\n09:30 - a meeting", None),
        ("[" * 50_000, None),
        ("{'a': __import__('os')}", None),
    ],
)
def test_the_value_that_a_text_shows(said: str, value: Any) -> None:
    assert value_in(said) == value


@given(st.text(max_size=200))
def test_any_text_can_be_read(said: str) -> None:
    value_in(said)
    assert isinstance(answered(text(said)).text, str)
