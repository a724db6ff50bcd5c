"""What is known of the prompts before anything starts: how many, how long, and whether they can be scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...reward.gold import read_gold
from .tasks import read_task

#: Columns that verl's data set and the reward read.
COLUMNS = ("data_source", "prompt", "reward_model", "extra_info")
_SHOWN = 3  # examples named in a message


@dataclass(frozen=True)
class Prompts:
    """The prompts of one parquet file.

    Attributes:
        file: The file.
        rows: How many prompts it holds.
        longest: Tokens of the longest one, as the data stage measured them; None if it did not.
        problems: Why the file cannot be trained on, one sentence each.
        demonstrated: Tokens of the responses that the data demonstrate, thought and end of turn included;
            of the rows that say it.
    """

    file: Path
    rows: int = 0
    longest: int | None = None
    problems: tuple[str, ...] = ()
    demonstrated: tuple[int, ...] = ()


def read(file: Path, tasks: bool = False) -> Prompts:
    """Reads what has to be known of `file`, without the prompts' text.

    A file that is missing, unreadable, empty or without gold answers is described in `problems`; nothing is
    raised.

    Args:
        file: An RL export.
        tasks: Whether each row has to hold an executable task.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    if not file.is_file():
        return Prompts(
            file,
            problems=(
                f"{file}: there is no such file. Run `funreason-train data` with the same run_dir first",
            ),
        )
    try:
        # Without threads: the process may fork later (cpu/warm.py).
        source = parquet.ParquetFile(file, pre_buffer=False)
        missing = [name for name in COLUMNS if name not in source.schema_arrow.names]
        if missing:
            return Prompts(file, problems=(f"{file}: the column {', '.join(missing)} is missing",))
        if flaws := _other_types(source.schema_arrow):
            return Prompts(file, problems=tuple(f"{file}: {flaw}" for flaw in flaws))
        rows = source.read(columns=["reward_model", "extra_info"], use_threads=False)
        unread = _prompt_flaws(source)
    except (ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        return Prompts(file, problems=(f"{file}: cannot be read as parquet ({reason})",))
    if rows.num_rows == 0:
        return Prompts(file, problems=(f"{file}: holds no prompt",))
    without_gold: dict[int, str] = {}
    longest, measured = 0, True
    demonstrated: list[int] = []
    unplayable: dict[int, str] = {}
    for number, (reward, extra) in enumerate(_pairs(rows)):
        if flaw := gold_flaw((reward or {}).get("ground_truth")):
            without_gold[number] = flaw
        if tasks and (problem := _unplayable((extra or {}).get("task"))):
            unplayable[number] = problem
        tokens = (extra or {}).get("prompt_tokens")
        measured = measured and tokens is not None
        longest = max(longest, int(tokens or 0))
        if isinstance(target := (extra or {}).get("target_tokens"), int):
            demonstrated.append(target)
    problems = [f"{file}: {flaw}" for flaw in unread]
    if without_gold:
        numbers = list(without_gold)
        shown = ", ".join(map(str, numbers[:_SHOWN])) + (", …" if len(numbers) > _SHOWN else "")
        problems.append(
            f"{file}: {len(numbers)} of {rows.num_rows} rows lack a readable gold answer (row {shown}), the "
            f"first because {without_gold[numbers[0]]}. reward_model.ground_truth is a JSON string with the "
            "keys calls and tools"
        )
    if unplayable:
        first = next(iter(unplayable))
        problems.append(
            f"{file}: {len(unplayable)} of {rows.num_rows} rows cannot be played (row {first}: "
            f"{unplayable[first]}). rl.rollout_mode=environment needs the files rl/env_*.parquet, which "
            "`funreason-train data` writes for sources with environments (synth, tasks)"
        )
    return Prompts(file, rows.num_rows, longest if measured else None, tuple(problems), tuple(demonstrated))


def _other_types(schema: Any) -> list[str]:
    """The columns that hold something else than verl and the reward read, each as a sentence."""
    from pyarrow import types

    def text(kind: Any) -> bool:
        return bool(types.is_string(kind) or types.is_large_string(kind))

    def texts(kind: Any, *names: str) -> bool:
        fields = {one.name: one.type for one in kind} if types.is_struct(kind) else {}
        return all(name in fields and text(fields[name]) for name in names)

    def message_list(kind: Any) -> bool:
        return bool(types.is_list(kind) or types.is_large_list(kind)) and texts(
            kind.value_type, "role", "content"
        )

    reward, extra = schema.field("reward_model").type, schema.field("extra_info").type
    tokens = {one.name: one.type for one in extra}.get("prompt_tokens") if types.is_struct(extra) else None
    wanted = {
        "data_source": (text(schema.field("data_source").type), "text"),
        "prompt": (message_list(schema.field("prompt").type), "a list of messages {role, content}"),
        # Where no row has a gold answer, the type is null; the rows are counted further down.
        "reward_model": (
            types.is_struct(reward)
            and (
                texts(reward, "ground_truth")
                or any(one.name == "ground_truth" and types.is_null(one.type) for one in reward)
            ),
            "{ground_truth: JSON text}",
        ),
        "extra_info": (
            types.is_struct(extra) and (tokens is None or types.is_integer(tokens) or types.is_null(tokens)),
            "{prompt_tokens: a whole number, …}",
        ),
    }
    return [
        f"the column {name} holds {schema.field(name).type}, and {what} is needed"
        for name, (right, what) in wanted.items()
        if not right
    ]


#: Who may speak in a prompt (dialogue/messages.py).
_ROLES = {"system", "user", "assistant", "tool"}


def _prompt_flaws(source: Any) -> list[str]:
    """What the prompts' roles say against them, each as a sentence; the texts are not read."""
    import pyarrow.compute as pc

    paths = [source.schema.column(number).path for number in range(len(source.schema))]
    roles = next(path for path in paths if path.startswith("prompt.") and path.endswith(".role"))
    column = source.read(columns=[roles], use_threads=False).column("prompt")
    found = []
    sizes = pc.fill_null(pc.list_value_length(column), 0)
    if silent := pc.sum(pc.equal(sizes, 0)).as_py():
        first = pc.index(pc.equal(sizes, 0), True).as_py()
        found.append(f"{silent} of {len(column)} prompts hold no message (row {first})")
    spoken = pc.unique(pc.struct_field(pc.list_flatten(column), "role")).to_pylist()
    if strange := sorted({str(role) for role in spoken} - _ROLES):
        found.append(
            f"prompts hold messages of the role {', '.join(strange)}; there are {', '.join(sorted(_ROLES))}"
        )
    return found


def _pairs(table: Any) -> Iterator[tuple[Any, Any]]:
    for batch in table.to_batches():
        yield from zip(
            batch.column("reward_model").to_pylist(), batch.column("extra_info").to_pylist(), strict=True
        )


def _unplayable(task: Any) -> str:
    """Why a row's task cannot be played; empty if it can."""
    try:
        read_task(task)
    except UserError as error:
        return str(error)
    return ""


def gold_flaw(ground_truth: Any) -> str:
    """Why the reward cannot read a ground truth; empty if it can."""
    try:
        read_gold(ground_truth)
    except (ValueError, TypeError) as error:
        return str(error)
    return ""
