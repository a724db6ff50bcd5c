"""`report serve` sends the report and nothing else, and the page in a browser follows the run."""

import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands.report.conftest import Visit, counted
from commands.report.made_run import SAMPLES, make_run

from funreason_train.commands.report import Report
from funreason_train.commands.report.serve import ReportServer
from funreason_train.pages.embed import unpack
from funreason_train.run.paths import RunDir


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunDir, ReportServer]]:
    monkeypatch.setattr("funreason_train.commands.report.serve._FRESH", 0.0)
    run = make_run(tmp_path / "run", 3, 2)
    server = ReportServer(Report(run, 1000, None), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield run, server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(
    server: ReportServer, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=300)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


def test_the_page_comes_with_its_first_part_and_the_others_one_by_one(served: Any) -> None:
    _, server = served
    code, page, headers = ask(server, "/")
    assert code == 200 and b'id="block-report"' in page and b'id="block-texts-1"' not in page
    assert b"connect-src 'self'" in page and b'data-live="1"' in page
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    code, block, _ = ask(server, "/block/texts-2")
    assert code == 200 and len(unpack(block.decode())["samples"]) == 2 * SAMPLES
    code, block, _ = ask(server, "/block/tokens-2")
    assert code == 200 and len(unpack(block.decode())["samples"]) == 2 * SAMPLES
    code, body, headers = ask(server, "/", "HEAD")
    assert code == 200 and body == b"" and int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "path",
    [
        *("/manifest.json", "/config.yaml", "/rl/", "/rl/rollouts/1.jsonl", "/../run/config.yaml", "/block/"),
        *(
            "/block/../../config.yaml",
            "/block/texts-99",
            "/%2e%2e/config.yaml",
            "//etc/passwd",
            "/block/texts-1/",
        ),
    ],
)
def test_nothing_else_is_sent(served: Any, path: str) -> None:
    code, body, _ = ask(served[1], path)
    assert (code, body) == (404, b"the report is at /")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_sent_there(served: Any, method: str) -> None:
    assert ask(served[1], "/", method)[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example:1"])
def test_a_page_of_another_name_cannot_read_it(served: Any, host: str) -> None:
    code, body, _ = ask(served[1], "/", host=host)
    assert code == 403 and b"rollout" not in body


def test_news_of_the_run_are_sent(served: Any) -> None:
    run, server = served
    before = unpack(ask(server, "/block/report")[1].decode())
    add_step(run)
    after = unpack(ask(server, "/block/report")[1].decode())
    assert after["version"] != before["version"]
    assert max(before["rollouts"]["steps"]) == 3 and max(after["rollouts"]["steps"]) == 4
    assert after["training"][1]["x"]["step"][-1] == 4


def add_step(run: RunDir) -> None:
    folder = run.rl / "rollouts"
    shutil.copy(folder / "3.npz", folder / "4.npz")
    text = (folder / "3.jsonl").read_text().replace("00000003-", "00000004-")
    (folder / "4.jsonl").write_text(text)
    with (run.rl / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 4, "health/score": 0.9, "reason/right": 1.0}) + "\n")


def test_a_port_that_is_taken_is_named(served: Any) -> None:
    from funreason_train.commands.report.serve import serve
    from funreason_train.errors import UserError

    with pytest.raises(UserError, match=f"nothing can listen at 127.0.0.1:{served[1].server_port}"):
        serve(served[1].report, "127.0.0.1", served[1].server_port)
    with pytest.raises(UserError, match="not a name of a machine"):
        serve(served[1].report, "ä" * 70, 1)


def test_the_page_follows_the_run(served: Any, visit: Visit) -> None:
    run, server = served
    address = f"http://127.0.0.1:{server.server_port}/"
    tab = visit(address, "#/rollouts/2/00000002-000000/1", asks=True)
    tab.wait_for_selector(".detail .thought")
    add_step(run)
    with counted(tab, "32 of 32 samples"):
        pass
    assert tab.locator(".detail .thought").count() == 1, "what is being read stays where it is"
    tab.click("nav.tabs a >> nth=0")
    tab.wait_for_selector("#rl canvas")
    assert "live" in tab.locator(".news").text_content()


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/manifest.json", "//etc/passwd", "/block/..", "/manifest.json", "*"]
)
def test_no_path_leads_to_a_file(served: Any, path: str) -> None:
    assert ask(served[1], path)[0] == 404


def test_a_question_mark_changes_nothing_and_other_methods_are_refused(served: Any) -> None:
    assert ask(served[1], "/?from=mail")[0] == 200
    assert ask(served[1], "/", "POST")[0] == 501


def test_a_run_that_is_taken_away_meanwhile_is_told(
    served: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run, server = served
    shutil.rmtree(run.root)
    assert ask(server, "/")[0] == 200  # a page of nothing

    def broken() -> str:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(server.report, "refresh", broken)
    code, body, _ = ask(server, "/")
    assert code == 503 and b"the report cannot be made now (OSError: [Errno 116] Stale" in body
    assert "Traceback" not in capfd.readouterr().err


def test_a_browser_that_goes_away_is_nothing_to_tell(served: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for error in (BrokenPipeError(), ConnectionResetError(), ValueError("odd")):
        try:
            raise error
        except Exception:
            served[1].handle_error(None, ("127.0.0.1", 1))
    assert capsys.readouterr().err == "report serve: a request failed (ValueError: odd)\n"
