"""Secrets of the environment never reach what is written."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from funreason_train.run.secrets import (
    clear_log,
    is_secret,
    redact_file,
    redacted,
    shows_secret,
    without_secrets,
)

ENVIRONMENT = {"HF_TOKEN": "hf_abcdefgh", "OPENAI_API_KEY": "sk-1234567", "SHORT_KEY": "ab", "HOME": "/me"}
SECRET = (
    *("PGPASSWORD", "HFTOKEN", "GITHUB_PAT", "MYSQL_PWD", "my.service.password", "SLACK_WEBHOOK", "DB_DSN"),
    *("MY_SERVICE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "SSH_PASSPHRASE"),
    "HF_TOKEN",
    "WANDB_API_KEY",
    "RAY_AUTH_TOKEN",
    "db_password",
    "AWS_SECRET",
)
PLAIN = (
    "TOKENIZERS_PARALLELISM",
    "KEYBOARD",
    "PATH",
    "MONKEYS",
    "PWD",
    "OLDPWD",
    "MAX_TOKENS",
    "RAY_AUTH_MODE",
)


@pytest.mark.parametrize("name", [*SECRET, *PLAIN])
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name) is (name in SECRET)


def test_secrets_are_replaced_by_their_names() -> None:
    said = "login with hf_abcdefgh and sk-1234567 at https://me:hunter2@host/x from /me, about"
    assert redacted(said, ENVIRONMENT) == (
        "login with [HF_TOKEN] and [OPENAI_API_KEY] at https://me:[PASSWORD]@host/x from /me, about"
    )
    assert without_secrets(ENVIRONMENT) == {"HOME": "/me"}


@given(some.text(), some.text(min_size=6), some.text())
def test_no_secret_is_left_whatever_stands_around_it(before: str, secret: str, after: str) -> None:
    hidden = redacted(before + secret + after, {"MY_TOKEN": secret})
    assert (
        secret not in hidden.replace("[MY_TOKEN]", "") or secret in before + after or secret in "[MY_TOKEN]"
    )


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("at https://me:p@ss:w@host/x", "at https://me:[PASSWORD]@host/x"),
        ("at https://hf_onlyatoken@host/x", "at https://[PASSWORD]@host/x"),
        ("get https://h/x?a=1&access_token=abc&b=2", "get https://h/x?a=1&access_token=[SECRET]&b=2"),
        ("get https://h/x?X-Amz-Signature=0f0f", "get https://h/x?X-Amz-Signature=[SECRET]"),
        ("{'Authorization': 'Bearer abc.DEF-123='}", "{'Authorization': 'Bearer [SECRET]'}"),
        ("key hf_" + "aB3" * 10 + ".", "key [SECRET]."),
        ("key sk-proj-" + "a_B" * 10, "key [SECRET]"),
        ("AKIAIOSFODNN7EXAMPLE", "[SECRET]"),
    ],
)
def test_a_secret_that_shows_by_its_form_is_hidden(said: str, hidden: str) -> None:
    assert redacted(said, {}) == hidden
    assert shows_secret(said) and not shows_secret(redacted("plain", {}))


@pytest.mark.parametrize(
    "plain",
    [
        "http://localhost:8000/v1",
        "me@host.org, see https://a/b",
        "Qwen/Qwen3-4B",
        "a?max_tokens",
        "Basic 1",
        "Basic authentication failed",
    ],
)
def test_what_is_no_secret_stays(plain: str) -> None:
    assert redacted(plain, {}) == plain and not shows_secret(plain)


def test_a_file_longer_than_what_is_read_at_once_is_cleared_and_one_without_secrets_left_alone(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    lines = ["x" * 99] * 20_000
    log.write_text("\n".join(lines))
    before = log.stat()
    assert not redact_file(log, ENVIRONMENT)
    assert (log.stat().st_ino, log.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    places = range(5, len(lines), 97)
    log.write_text("\n".join("a hf_abcdefgh b" if n in places else line for n, line in enumerate(lines)))
    assert redact_file(log, ENVIRONMENT)
    expected = ["a [HF_TOKEN] b" if n in places else line for n, line in enumerate(lines)]
    assert log.read_text().split("\n") == expected and [*tmp_path.iterdir()] == [log]


def test_a_log_that_cannot_be_cleared_is_named_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clear_log(tmp_path)
    assert f"{tmp_path} may hold secrets" in capsys.readouterr().err
    (tmp_path / "log").write_text("nothing to hide")
    clear_log(tmp_path / "log")
    assert capsys.readouterr().err == ""


def test_a_secret_is_found_as_json_and_addresses_write_it() -> None:
    secret = 'p"a\\ß/w'
    said = json.dumps({"a": secret}) + json.dumps(secret, ensure_ascii=False) + quote(secret, safe="")
    assert redacted(said, {"DB_PASSWORD": secret}).count("[DB_PASSWORD]") == 3
