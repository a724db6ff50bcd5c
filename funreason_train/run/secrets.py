"""Keeps secrets out of what is written: those of the environment, and those that show by their form."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

#: A variable with one of these words in its name holds a secret: HF_TOKEN, OPENAI_API_KEY, DB_PASSWORD.
_WORDS = frozenset(
    ("KEY", "PASS", "PAT", "PWD", "CREDS", "CREDENTIAL", "COOKIE", "WEBHOOK", "AUTHORIZATION", "DSN")
)
#: Or a word that ends so, as people also write them together: PGPASSWORD, HFTOKEN.
_ENDS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "ACCESSKEY", "CREDENTIALS")
_FOLDERS = frozenset(("PWD", "OLDPWD"))  # the shell's
_READ = 1 << 20  # characters of a file that are looked at together, and the rest of their line
_SHORTEST = 6  # characters of a value that is worth hiding; shorter ones occur in ordinary words
_NO_CHANCE = 12  # characters of a value that no text holds by chance
#: A login in an address: a name and a password, or a token in the name's place.
_LOGIN = re.compile(r"(?P<before>://(?:[^\s/:@\"']*:)?)[^\s/\"']+@")
_QUERY = re.compile(
    r"(?P<before>[?&][\w.-]*(?:token|key|secret|passw(?:or)?d|signature|credential)[\w.-]*=)[^&\s\"'<>]+",
    re.IGNORECASE,
)
#: What follows is no word: "Basic authentication" is not a secret.
_HEADER = re.compile(r"(?P<before>\b(?:Bearer|Basic) )(?=\S*(?:\d|=|[a-z][A-Z]))[\w.~+/=-]{8,}")
#: What services write at the beginning of their keys, so that they are known when they leak.
_KNOWN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}"
    r"|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}|glpat-[\w-]{18,})(?![\w-])"
)


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    words = re.split(r"[^A-Z0-9]+", name.upper())
    if name.upper() in _FOLDERS:
        return False
    return not _WORDS.isdisjoint(words) or any(word.endswith(_ENDS) for word in words)


def redacted(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text with every secret of the environment as `[NAME]`, and without those that show by their form.

    A secret is found as it is, and as JSON and addresses write it.
    """
    return _without(text, _hidden(environ))


def redacted_value(value: Any, environ: Mapping[str, str] = os.environ) -> Any:
    """A value of JSON's types with every text in it `redacted`, keys as well.

    Its JSON text would not do: an escape there may look like a part of a secret, and what is left is no JSON.
    """
    hidden = _hidden(environ)

    def clean(one: Any) -> Any:
        if isinstance(one, str):
            return _without(one, hidden)
        if isinstance(one, Mapping):
            return {clean(key): clean(item) for key, item in one.items()}
        return [clean(item) for item in one] if isinstance(one, list | tuple) else one

    return clean(value)


def _hidden(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a text must not hold, and the name that stands there instead, the longest first."""
    hidden = {
        form: name
        for name, value in environ.items()
        if is_secret(name) and len(value) >= _SHORTEST
        for form in _forms(value)
    }
    return sorted(hidden.items(), key=lambda one: -len(one[0]))  # a secret may contain another


def _without(text: str, hidden: Sequence[tuple[str, str]]) -> str:
    for value, name in hidden:
        text = text.replace(value, f"[{name}]")
    text = _LOGIN.sub(r"\g<before>[PASSWORD]@", text)
    for pattern in (_QUERY, _HEADER):
        text = pattern.sub(r"\g<before>[SECRET]", text)
    return _KNOWN.sub("[SECRET]", text)


def redact_file(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Takes the secrets out of a file that others have written, such as a framework's log.

    Bytes that are no text stay as they are, and a file without secrets is not touched.

    Returns:
        Whether there were any.

    Raises:
        OSError: it cannot be read, or not be written anew.
    """
    as_text = partial(open, encoding="utf-8", errors="surrogateescape", newline="")
    with as_text(path) as read:
        if all(redacted(part, environ) == part for part in _parts(read)):
            return False
    clean = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with as_text(path) as read, as_text(clean, "w") as write:
            write.writelines(redacted(part, environ) for part in _parts(read))
        shutil.copymode(path, clean)
        clean.replace(path)
    finally:
        clean.unlink(missing_ok=True)
    return True


def clear_log(path: Path) -> None:
    """`redact_file` of a log that nobody writes any more; where it cannot be done, that is said."""
    try:
        redact_file(path)
    except OSError as error:
        said = f"{path} may hold secrets: it could not be cleared of them ({error.strerror or error})"
        sys.stderr.write(f"{said}. Look through it before you share it.\n")


def _parts(text: TextIO) -> Iterator[str]:
    """A file's text in parts of whole lines."""
    while part := text.read(_READ):
        yield part + text.readline()


def shows_secret(text: str) -> bool:
    """Whether a text holds a secret by its form: a login in an address, a key of a known kind."""
    return any(pattern.search(text) for pattern in (_LOGIN, _QUERY, _HEADER, _KNOWN))


def repeats_secret(text: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a text holds a secret of the environment, too long to be there by chance and no path."""
    return any(
        value in text
        for name, value in environ.items()
        if len(value) >= _NO_CHANCE and is_secret(name) and not os.path.exists(value)
    )


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that needs none of its secrets."""
    return {name: value for name, value in environ.items() if not is_secret(name)}


def _forms(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="", errors="replace")
