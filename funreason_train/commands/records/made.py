"""Names of the files that this tool and its frameworks write; cleaning leaves all others alone."""

from __future__ import annotations

import re
from pathlib import Path

_NAMES = re.compile(
    r"""
    .*\.(safetensors|distcp|parquet|arrow|npz|tfevents)      # weights, shards, tables
    | (pytorch_model|model|adapter_model|optim|extra_state|optimizer|scheduler|scaler|rng_state|training_args
       |balance|data|bf16_zero|zero|mp_rank|model_world_size|optim_world_size|extra_state_world_size)[\w.-]*
      \.(bin|pt|pth|safetensors)
    | model(-\d+-of-\d+)?\.safetensors | [\w.-]*\.index\.json | \.metadata
    | (config|generation_config|trainer_state|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab
       |adapter_config|fsdp_config|gang|llamafactory|manifest|dataset_info|train|val|ledger|graph|funnel|scores
       |transformers|processor_config|chat_template|all_results|train_results|summary|attempt|incident|state
       |progress|version|done|report|dataset_dict|replica\d+\.seconds)\.json
    | (metrics|episodes|failures|conversations|rejected|changes|heldout|tuning|trainer_log
       |(replica)?\d+)\.jsonl
    | (verl|config|sft|rl|agent_loops)\.yaml | chat_template\.jinja
    | (merges|latest_checkpointed_iteration|vocab)\.txt | latest | zero_to_fp32\.py | README\.md
    | (card|table|incident)\.md | (card|failures|report)\.html
    | events\.out\.tfevents\..* | [\w-]+(\.\d+)?\.log | [\w-]+(\.\w+)*\.replica\d+\.log | dirty\.diff
    | stacks[\w.-]*\.txt | METADATA | \.validate_storage_marker
    """,
    re.VERBOSE,
)


def is_ours(path: Path) -> bool:
    """Whether a file has a name that this tool or a framework of it writes; a link is not followed."""
    return not path.is_symlink() and _NAMES.fullmatch(path.name) is not None


def remove(folder: Path) -> tuple[int, list[Path]]:
    """Removes a folder's files of ours, and the folders that are empty then.

    Args:
        folder: A checkpoint, an attempt or a result that was set aside.

    Returns:
        Bytes that were freed, and the files that stay because this tool did not create them.

    Raises:
        OSError: if something cannot be removed.
    """
    freed = 0
    kept: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            more, stay = remove(entry)
            freed, kept = freed + more, kept + stay
        elif is_ours(entry):
            size = entry.stat().st_size
            entry.unlink()
            freed += size
        else:
            kept.append(entry)
    if not any(folder.iterdir()):
        folder.rmdir()
    return freed, kept


def size_of(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder; links are not followed."""
    size = count = 0
    waiting = [folder]
    while waiting:
        try:
            entries = list(waiting.pop().iterdir())
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_symlink():
                    continue
                if entry.is_dir():
                    waiting.append(entry)
                else:
                    size, count = size + entry.stat().st_size, count + 1
            except OSError:  # removed meanwhile
                continue
    return size, count
