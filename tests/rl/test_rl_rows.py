"""Rows that RL cannot train on are counted and named before the start."""

from pathlib import Path
from typing import Any

import pytest
from rl.rl_runs import row, small_run, without_gold, write_rows

from funreason_train.errors import UserError
from funreason_train.rl import stage
from funreason_train.rl.settings import prompts


def test_rows_without_gold_are_counted_and_named(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    rows = [
        row(0),
        row(1, gold="not json"),
        row(2, gold='{"calls": "x", "tools": []}'),
        row(3, gold='{"calls": [{"name": "f", "arguments": {}}], "tools": ["f"]}'),
    ]
    write_rows(run.data / "rl" / "train.parquet", rows)
    assert "3 of 4 rows lack a readable gold answer (row 1, 2, 3)" in " ".join(stage.check(config, run))


@pytest.mark.parametrize("column", prompts.COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: Any) -> None:
    config, run = small_run(tmp_path)
    rows = [row(index) for index in range(64)]
    for entry in rows:
        del entry[column]
    write_rows(run.data / "rl" / "train.parquet", rows)
    (problem,) = stage.check(config, run)
    assert problem.endswith(f"train.parquet: the column {column} is missing")


OTHER_TYPES = {
    "data_source": (7, "holds int64, and text is needed"),
    "prompt": ("Book it.", "holds string, and a list of messages {role, content} is needed"),
    "reward_model": ("gold", "holds string, and {ground_truth: JSON text} is needed"),
    "extra_info": ({"prompt_tokens": "many"}, "{prompt_tokens: a whole number, …} is needed"),
}


@pytest.mark.parametrize("column", OTHER_TYPES)
def test_a_column_of_another_type_is_named(tmp_path: Path, column: Any) -> None:
    config, run = small_run(tmp_path)
    value, said = OTHER_TYPES[column]
    write_rows(run.data / "rl" / "train.parquet", [{**row(index), column: value} for index in range(64)])
    (problem,) = stage.check(config, run)
    assert f"train.parquet: the column {column} holds " in problem and problem.endswith(said)


def test_prompts_that_nobody_speaks_or_a_stranger_does_are_told(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    rows = [row(index) for index in range(64)]
    rows[5]["prompt"] = []
    rows[7]["prompt"] = [{"role": "wizard", "content": "Book it."}]
    write_rows(run.data / "rl" / "train.parquet", rows)
    found = " ".join(stage.check(config, run))
    assert "1 of 64 prompts hold no message (row 5)" in found
    assert "messages of the role wizard; there are assistant, system, tool, user" in found


def test_rows_that_all_lack_gold_are_counted_too(tmp_path: Path) -> None:
    """Their column has no type of its own."""
    config, run = small_run(tmp_path)
    write_rows(run.data / "rl" / "train.parquet", [without_gold(index) for index in range(64)])
    assert "64 of 64 rows lack a readable gold answer" in " ".join(stage.check(config, run))


def test_an_empty_validation_set_is_an_error_before_the_start(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    config, run = small_run(tmp_path)
    empty = pyarrow.Table.from_pylist([row(0)]).slice(0, 0)
    pyarrow.parquet.write_table(empty, run.data / "rl" / "val.parquet")
    (problem,) = stage.check(config, run)
    assert problem.endswith("val.parquet: holds no prompt")
    with pytest.raises(UserError, match="holds no prompt"):
        stage.run(config, run)
    assert not run.rl_checkpoints.exists()


@pytest.mark.parametrize(
    ("gold", "why"),
    [
        (None, "not a JSON string"),
        ("{", "not JSON"),
        ('{"calls": []}', "the lists calls and tools"),
        ('{"calls": [], "tools": "[]"}', "the lists calls and tools"),
        ('{"calls": [], "tools": ["lamp"]}', "a tool is not an object with a name"),
        ('{"calls": [], "tools": [{"description": "x"}]}', "a tool is not an object with a name"),
        (
            '{"calls": [], "tools": [{"name": "lamp", "parameters": "{}"}]}',
            "the tool 'lamp' are not a JSON schema",
        ),
        ('{"calls": ["lamp()"], "tools": []}', "a gold call is not an object with a name"),
        (
            '{"calls": [{"name": "lamp", "arguments": "{}"}], "tools": []}',
            "the gold call 'lamp' are not an object",
        ),
    ],
)
def test_tools_and_calls_that_do_not_parse_are_said_before_the_start(
    tmp_path: Path, gold: str | None, why: str
) -> None:
    config, run = small_run(tmp_path)
    write_rows(run.data / "rl" / "train.parquet", [row(0), row(1, gold=gold) if gold else without_gold(1)])
    with pytest.raises(UserError, match="1 of 2 rows lack a readable gold answer") as caught:
        stage.run(config, run)
    assert why in str(caught.value)
    assert not run.rl_checkpoints.exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "no such file"), (b"x", "cannot be read as parquet"), ([], "holds no prompt")],
)
def test_files_that_cannot_be_trained_on(
    tmp_path: Path, content: bytes | list[Any] | None, part: str
) -> None:
    file = tmp_path / "train.parquet"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row(0)]).slice(0, 0), file)
    assert part in " ".join(prompts.read(file).problems)


def test_prompts_that_were_not_measured_need_a_limit(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    rows = [row(index) for index in range(64)]
    for entry in rows:
        del entry["extra_info"]["prompt_tokens"]
    write_rows(run.data / "rl" / "train.parquet", rows)
    assert "do not say how long" in " ".join(stage.check(config, run))
    config.rl.max_prompt_tokens = 50
    assert stage.check(config, run) == []


def test_a_gold_answer_that_cannot_be_right_is_found_before_the_start(tmp_path: Path) -> None:
    config, run = small_run(tmp_path, "rl.reward.max_chars=3")
    found = " ".join(stage.check(config, run))
    assert "the reward cannot be trusted" in found and "doctor" in found
