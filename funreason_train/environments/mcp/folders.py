"""The folder of a session: where it is, what a model is told of it, and what stands in it as a state."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from .renaming import is_of_now, timeless

ALIAS: Final = "/session"
"""How calls and answers name the folder, which is another one in each session."""

_MOST_FILES = 500
_MOST_KNOWN = 60  # paths
_SHOWN_BYTES = 4_000  # of a file that is shown as its text; a larger one as its digest
_READ_BYTES = 20_000_000
_SHOWN_ROWS = 40
_SQLITE = b"SQLite format 3\x00"
_ARCHIVE = b"PK\x03\x04"
_MOST_PARTS = 500  # of an archive
_GIT_INDEX = b"DIRC"
_GIT_ENTRY = 62  # bytes of an entry of git's index before the path
_OFFICE_TIMES = re.compile(rb"(<dcterms:(?:created|modified)\b[^>]*>)[^<]*")
_COPY = "named after the time of writing"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def make_folder(name: str) -> Path:
    """A new folder for a session of this process; its path is as long as another session's, since servers
    count the characters of what they write.
    """
    return Path(tempfile.mkdtemp(prefix=f"mcp-{name}-{os.getpid():07}-"))


def remove_leftovers(name: str) -> None:
    """Removes the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"mcp-{name}-*"):
        match = re.fullmatch(rf"mcp-{re.escape(name)}-(\d+)-\w+", folder.name)
        with contextlib.suppress(OSError):
            if match and not _alive(int(match[1])) and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def known_paths(home: Path, copied: Iterable[str]) -> dict[str, Any]:
    """The paths of a session that its user knows, from the files that are copied into it.

    Nobody speaks of what lies in hidden folders, such as `.git`.

    Returns:
        Folders and files, each under the names that parameters for them have.
    """
    folders, files = list[str](), list[str]()
    for name in copied:
        source = home / name
        for path in (source, *sorted(source.rglob("*"))) if source.is_dir() else (source,):
            if any(part.startswith(".") for part in path.relative_to(source).parts):
                continue
            if len(folders) + len(files) < _MOST_KNOWN:
                place = f"{ALIAS}/{path.relative_to(source.parent)}"
                (folders if path.is_dir() else files).append(place)
    return {
        "root_directory_folder_path_repo_cwd": ALIAS,  # alone, so that the lists are no tables of records
        "directory_folder_path_repo_cwd": folders,
        "file_path_filename_source": files,
    }


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def folder_state(folder: Path) -> dict[str, Any]:
    """What stands in a folder: path -> text, tables of a database, parts of an archive, or a digest.

    Times and access rights do not count, nor does what servers write of the time of writing (`timeless`), or
    office documents and git's index by themselves. Of files that are named after the second of writing, as
    copies are, it counts that there are any. Beyond some hundred files, one digest stands for all others.
    """
    found: dict[str, Any] = {}
    others, digest = 0, hashlib.blake2b(digest_size=16)

    def same(text: str) -> str:
        """A text without what is another one in each session: the folder's own path and name, and times."""
        return str(timeless(text.replace(str(folder), ALIAS).replace(folder.name, ALIAS[1:])))

    for place, names, files in os.walk(folder):
        names.sort()
        for file in sorted(files):
            path = Path(place) / file
            if file.endswith(_SIDE_FILES):
                continue
            name = str(path.relative_to(folder))
            # Of copies that are named after the second there are more or fewer, as the calls happen to fall.
            content = _COPY if is_of_now(name) else _content(path, same)
            inside = same(name)
            if len(found) < _MOST_FILES:
                while found.get(inside, _COPY) != _COPY:  # named after the time of writing, as another one is
                    inside += "'"
                found[inside] = content
            else:
                others += 1
                digest.update(repr((inside, content)).encode(errors="surrogatepass"))
        for name in names:
            if not any((Path(place) / name).iterdir()):
                found[f"{same(str((Path(place) / name).relative_to(folder)))}/"] = {}
    if others:
        found["/"] = f"{others} further files, {digest.hexdigest()}"
    return found


def _content(path: Path, same: Callable[[str], str]) -> Any:
    try:
        if not path.is_file():
            return "neither a file nor a folder"
        size = path.stat().st_size
        with path.open("rb") as file:
            data = file.read(_READ_BYTES)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if data.startswith(_SQLITE):
        with contextlib.suppress(sqlite3.Error):
            return _tables(path, same)
    if data.startswith(_ARCHIVE):
        with contextlib.suppress(zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError):
            return _parts(path)
    if data.startswith(_GIT_INDEX) and path.name == "index":
        with contextlib.suppress(struct.error, ValueError):
            return list(_staged(data))
    with contextlib.suppress(UnicodeDecodeError):
        text = same(data.decode("utf-8"))
        if size <= _SHOWN_BYTES:
            return text
        data, size = text.encode(), len(text)
    return f"{size} bytes, {_digest(data)}"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _parts(path: Path) -> dict[str, str]:
    """An archive, such as an office document, by its parts: the archive notes when it was written.

    Raises:
        ValueError: It is too large.
        zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError: It cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        held = archive.infolist()
        if len(held) > _MOST_PARTS or sum(part.file_size for part in held) > _READ_BYTES:
            raise ValueError("too large")
        found = {}
        for part in sorted(held, key=lambda one: one.filename):
            data = archive.read(part)
            if part.filename == "docProps/core.xml":
                data = _OFFICE_TIMES.sub(rb"\1", data)
            found[part.filename] = _digest(data)
        return found


def _staged(data: bytes) -> Iterator[str]:
    """What git's index holds: mode, object, stage and path; it also notes when files were looked at.

    Raises:
        ValueError, struct.error: It is written in a form that is not read here.
    """
    version, count = struct.unpack_from(">II", data, 4)
    if version not in (2, 3):
        raise ValueError("paths are shortened in it")
    place = 12
    for _ in range(count):
        mode, name, flags = struct.unpack_from(">24xI12x20sH", data, place)
        start = place + _GIT_ENTRY + (2 if version == 3 and flags & 0x4000 else 0)
        end = data.index(b"\0", start)
        yield f"{mode:o} {name.hex()} {flags >> 12 & 3} {data[start:end].decode(errors='backslashreplace')}"
        place += (end - place) // 8 * 8 + 8


def _tables(path: Path, same: Callable[[str], str]) -> dict[str, Any]:
    """A database by its tables, since its bytes depend on the order in which they were written."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)
    try:
        named = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
        found: dict[str, Any] = {}
        for name, made in named.fetchall():
            quoted = str(name).replace('"', '""')
            rows = sorted(same(repr(row)) for row in connection.execute(f'SELECT * FROM "{quoted}"'))
            if len(rows) > _SHOWN_ROWS:
                digest = _digest("\n".join(rows).encode())
                rows = [f"{len(rows)} rows, {digest}"]
            found[str(name)] = {"made": made, "rows": rows}
        return found
    finally:
        connection.close()
