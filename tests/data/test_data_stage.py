"""The whole stage: contract files, ledger arithmetic, determinism and policies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.data.check.checks import passes
from funreason_train.data.ledger import Ledger
from funreason_train.data.read.reading import RejectedWriter, read_source
from funreason_train.data.read.rows import REASONS
from funreason_train.data.spool import Spool, decode, encode
from funreason_train.data.steps import cut
from funreason_train.dialogue import AssistantStep, Trajectory, Turn, read_completion
from funreason_train.errors import UserError
from funreason_train.reward import compute_score
from funreason_train.run.parallel import Workers

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
FIXTURES = Path(__file__).parents[1] / "fixtures"
BARE = {"system": "bfcl", "answer": "bare"}


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _query(number: int, **change: Any) -> dict[str, Any]:
    tool = {"name": "look_up", "description": "", "parameters": {"what": {"type": "str"}}}
    call = {"name": "look_up", "arguments": {"what": f"thing {number}"}}
    row = {
        "id": number,
        "query": f"Find thing {number}",
        "answers": json.dumps([call]),
        "tools": json.dumps([tool]),
    }
    return row | change


def test_contract_files_and_ledger(prepare: Prepare, tmp_path: Path) -> None:
    out, result = prepare(f"data.out={tmp_path}/out", "data.val_share=0.3")
    assert out == tmp_path / "out"
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {
        *("sft/train.json", "sft/val.json", "sft/dataset_info.json", "rl/train.parquet", "rl/val.parquet"),
        *("rejected.jsonl", "ledger.json", "manifest.json", "card.md", "card.html"),
    }
    ledger = _json(out / "ledger.json")
    assert ledger == result["sources"]
    assert {
        name: (one["read"], one["kept"], one["rejected"], one["steps"]) for name, one in ledger.items()
    } == {
        "apigen": (8, 8, {}, 8),
        "funreason_mt": (3, 3, {}, 15),
    }
    assert len(_json(out / "sft" / "train.json")) == result["sft"]["train"]
    assert sum(result["sft"].values()) == 23
    manifest = _json(out / "manifest.json")
    digest = hashlib.sha256((FIXTURES / "apigen_8rows.jsonl").read_bytes()).hexdigest()
    assert list(manifest["inputs"]["apigen"].values()) == [digest]
    assert manifest["outputs"]["rl/train.parquet"]


def test_every_target_is_what_the_reward_calls_right(prepare: Prepare) -> None:
    """The exports agree: SFT's target, taken as a completion, scores 1 against RL's ground truth."""

    out, _ = prepare()
    targets = {
        row["id"]: row["conversations"][-1]["value"]
        for side in ("train", "val")
        for row in _json(out / "sft" / f"{side}.json")
    }
    rows = [
        row for side in ("train", "val") for row in pq.read_table(out / "rl" / f"{side}.parquet").to_pylist()
    ]
    assert len(rows) == len(targets) == 23
    for row in rows:
        target = targets[row["extra_info"]["id"]]
        score = compute_score(
            row["data_source"],
            target.removeprefix("<think>"),
            row["reward_model"]["ground_truth"],
            row["extra_info"],
        )
        assert score["score"] == 1.0, row["extra_info"]["id"]
        assert [m["role"] for m in row["prompt"]][:2] == ["system", "user"]


def test_history_shows_answers_without_thoughts_and_merged_results(prepare: Prepare) -> None:
    out, _ = prepare("data.val_share=0", "data.datasets=[funreason_mt]")
    rows = {row["id"]: row for row in _json(out / "sft" / "train.json")}
    row = next(row for key, row in rows.items() if key.endswith(":1/0.2"))
    assert [one["from"] for one in row["conversations"]] == [
        *("human", "gpt", "observation", "gpt", "observation", "gpt"),
    ]
    assert row["conversations"][3]["value"] == "[order_status(order_id=4711), order_status(order_id=4712)]"
    assert row["conversations"][4]["value"] == str(['{"status": "delivered"}', '{"status": "lost"}'])
    assert row["conversations"][5]["value"].startswith("<think>\nI can answer now.\n</think>\n\nOrder 4711")


def test_both_exports_read_back_through_datasets(prepare: Prepare, tmp_path: Path) -> None:
    import datasets

    out, result = prepare()
    cache = str(tmp_path / "cache")
    sft = datasets.load_dataset("json", data_files=str(out / "sft" / "train.json"), cache_dir=cache)["train"]
    rl = datasets.load_dataset("parquet", data_files=str(out / "rl" / "train.parquet"), cache_dir=cache)[
        "train"
    ]
    assert (len(sft), len(rl)) == (result["sft"]["train"], result["rl"]["train"])
    assert set(sft.column_names) == {"id", "system", "conversations"}
    first = rl[0]
    assert json.loads(first["reward_model"]["ground_truth"]).keys() == {"calls", "tools"}
    assert json.loads(first["extra_info"]["meta"])["position"]
    info = _json(out / "sft" / "dataset_info.json")
    for side in ("train", "val"):
        assert (out / "sft" / info[side]["file_name"]).is_file()
        assert info[side]["columns"] == {"messages": "conversations", "system": "system"}


def test_same_seed_same_bytes(prepare: Prepare, tmp_path: Path) -> None:
    def digests(name: str, *words: str) -> dict[str, str]:
        out, _ = prepare(f"data.out={tmp_path}/{name}", "data.val_share=0.3", *words)
        return {
            str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in out.rglob("*")
            if path.is_file()
        }

    first = digests("a")
    assert digests("b") == first
    assert digests("a") == first  # in place of an earlier result
    assert digests("c", "seed=1")["sft/train.json"] != first["sft/train.json"]


def test_two_processes_write_the_bytes_of_one(
    prepare: Prepare, tmp_path: Path, tokenizer_folder: Path
) -> None:
    rows = [_query(number % 900) for number in range(1000)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = (
        f"data.apigen.path={tmp_path}/rows.jsonl",
        f"data.tokenizer={tokenizer_folder}",
        "data.val_share=0.2",
    )

    def files(processes: int) -> dict[str, bytes]:
        out, result = prepare(*words, f"data.processes={processes}", f"data.out={tmp_path}/{processes}")
        assert result["sources"]["apigen"]["rejected"] == {"duplicate": 100}
        return {
            str(path.relative_to(out)): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and path.name != "manifest.json"  # which names the number of processes
        }

    assert files(1) == files(2)


_BROKEN: list[str] = [
    '{"id": 1, "query": ',
    '"text"',
    "[1, 2]",
    "{}",
    json.dumps(_query(7, answers="[]")),
    json.dumps(_query(7, query="\x00")),
    json.dumps(_query(7, answers='[{"name": "other", "arguments": {}}]')),
    json.dumps(_query(7))[:-1] + ', "x": Infinity}',
]


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4) | st.sampled_from(_BROKEN), max_size=25))
def test_read_is_kept_and_rejected(rows: list[int | str]) -> None:
    """Nothing is lost, and each rejected row stands in rejected.jsonl with a known reason."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        texts = [row if isinstance(row, str) else json.dumps(_query(row)) for row in rows]
        path.write_text("".join(text + "\n" for text in texts))
        ledger = Ledger(["mine"])
        node = {"format": "apigen", "path": str(path), "split": "train"}
        with (
            Spool(Path(folder) / "spool") as spool,
            RejectedWriter(Path(folder) / "rejected.jsonl") as rejected,
        ):
            kept = read_source(*("mine", node, passes(), set(), spool, ledger["mine"], rejected, Workers(1)))
            assert [spool.read(one).source for one in kept] == ["mine"] * len(kept)
        ledger.check()
        account = ledger["mine"]
        lines = _lines(Path(folder) / "rejected.jsonl")
        assert account.read == len(rows)
        assert account.kept == len(kept) == len({row for row in rows if isinstance(row, int)})
        assert len(lines) == sum(account.rejected.values())
        assert {line["reason"] for line in lines} <= set(REASONS)
        assert all(line["position"].startswith("rows.jsonl:") for line in lines)


def test_a_lost_row_is_noticed() -> None:
    ledger = Ledger(["a"])
    ledger["a"].read, ledger["a"].kept = 3, 1
    ledger["a"].rejected["duplicate"] = 1
    with pytest.raises(RuntimeError, match="3 rows read, but 1 kept and 1 rejected"):
        ledger.check()


def test_ids_are_unique_within_a_source(prepare: Prepare, tmp_path: Path) -> None:
    rows = [_query(1), _query(2, id=1), _query(3, id=None)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, _ = prepare("data.datasets=[apigen]", f"data.apigen.path={tmp_path}/rows.jsonl", "data.val_share=0")
    assert {row["id"] for row in _json(out / "sft" / "train.json")} == {
        "1/0.0",
        "1~2/0.0",
        "rows.jsonl:3/0.0",
    }


def test_two_sources_with_the_same_ids_are_compared_row_by_row(prepare: Prepare, tmp_path: Path) -> None:
    """An id is unique within its source: the parity gate must not take one's prompt for the other's."""
    from funreason_train.dialogue.sharegpt import sft_messages
    from funreason_train.parity.tokens import sample_rows

    (tmp_path / "a.jsonl").write_text("".join(json.dumps(_query(number)) + "\n" for number in range(9)))
    rows = [_query(number, query=f"Look for {number}") for number in range(9)]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    node = "{format: apigen, path: %s, split: train, rows: null, weight: 1}"
    words = [f"data.{name}=" + node % (tmp_path / f"{name}.jsonl") for name in "ab"]
    out, _ = prepare("data.datasets=[a,b]", *words, "data.val_share=0", "data.decontaminate=off")
    compared = sample_rows(out, 100, 0)
    assert len(compared) == 18 and len({row.id for row in compared}) == 9
    assert all(row.prompt == sft_messages(row.sft)[0] for row in compared)


@pytest.mark.parametrize(
    ("kept", "found"), [(("b",), [None, "b"]), (("a", "b"), ["a", "b"]), ((), [None, None])]
)
def test_a_row_that_rl_leaves_out_has_no_prompt_though_another_source_has_its_id(
    tmp_path: Path, kept: tuple[str, ...], found: list[str | None]
) -> None:
    import pyarrow as pa

    from funreason_train.parity.tokens import sample_rows

    def prompt(name: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": "s"}, {"role": "user", "content": name}]

    (tmp_path / "sft").mkdir()
    (tmp_path / "rl").mkdir()
    told = [
        {
            "id": "train-1/0.0",
            "system": "s",
            "conversations": [{"from": "human", "value": name}, {"from": "gpt", "value": "<think>x"}],
        }
        for name in "ab"
    ]
    text = ",\n".join(json.dumps(row) for row in told)
    (tmp_path / "sft" / "train.json").write_text(f"[\n{text}\n]\n")
    rows = [{"prompt": prompt(name), "extra_info": {"id": "train-1/0.0"}} for name in kept]
    schema = pa.schema(
        [
            ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("extra_info", pa.struct([("id", pa.string())])),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "rl" / "train.parquet")
    seen = [row.prompt and row.prompt[-1]["content"] for row in sample_rows(tmp_path, 9, 0)]
    assert seen == found


def test_closing_replies_can_stay_out_of_rl(prepare: Prepare) -> None:
    _, kept = prepare("data.datasets=[funreason_mt]", "data.val_share=0")
    _, without = prepare("data.datasets=[funreason_mt]", "data.val_share=0", "data.rl_closing_share=0")
    assert (kept["sft"]["train"], kept["rl"]["train"]) == (15, 15)
    assert (without["sft"]["train"], without["rl"]["train"]) == (15, 10)


def test_fewer_single_calls_leave_room_for_the_rest_in_rl(prepare: Prepare) -> None:
    def made(share: float) -> tuple[int, dict[str, int]]:
        """SFT's rows, and of each RL row its id and how many calls it asks for."""
        words = ("data.datasets=[funreason_mt]", "data.val_share=0", f"data.rl_one_call_share={share}")
        folder, rows = prepare(*words)
        table = pq.read_table(folder / "rl" / "train.parquet").to_pylist()
        assert len(table) == rows["rl"]["train"]
        gold = {row["extra_info"]["id"]: json.loads(row["reward_model"]["ground_truth"]) for row in table}
        return rows["sft"]["train"], {name: len(one["calls"]) for name, one in gold.items()}

    (_, every), (_, some), (trained, none) = made(1), made(0.5), made(0)
    assert trained == 15
    assert none == {name: calls for name, calls in every.items() if calls != 1}
    assert none.items() < some.items() < every.items()


def test_a_demonstration_is_for_sft_alone() -> None:
    """An imperfect teacher's response is SFT's target; RL's gold and the history stay right."""
    both = (Call("f", {"a": 1}), Call("f", {"a": 2}))
    turns = (Turn("do both", (AssistantStep("t", both, "", ("1", "2")), AssistantStep("u", text="done"))),)
    shown = {"thought": "one is enough", "calls": [both[0].to_json()], "text": ""}
    meta = {"demonstration": {"0.0": shown}, "kinds": {"0.0": "parallel"}, "category": "parallel"}
    trajectory = Trajectory("x", "s", (), turns, meta=meta)
    first, second = cut(decode(encode(trajectory)), BARE)
    assert (first.shown.answer, first.shown.thought) == ("[f(a=1)]", "one is enough")
    assert first.gold.calls == both
    assert first.gold.meta == {"category": "parallel", "kind": "parallel"}
    assert second.gold.messages[2]["content"] == "[f(a=1), f(a=2)]"
    assert (first.closing, second.closing) == (False, True)
    assert second.shown == second.gold


def test_tagged_answers(prepare: Prepare) -> None:
    out, _ = prepare("protocol.answer=tagged", "data.datasets=[apigen]", "data.val_share=0")
    target = _json(out / "sft" / "train.json")[0]["conversations"][-1]["value"]
    assert "<tool_call>" in target
    assert read_completion(target).calls


def test_lengths_are_measured_and_nothing_is_cut(prepare: Prepare, tokenizer_folder: Path) -> None:

    words = (f"data.tokenizer={tokenizer_folder}", "data.val_share=0", "protocol.system=compact")
    out, everything = prepare(*words)
    tokens = everything["sources"]["funreason_mt"]["tokens"]
    assert tokens["prompt"]["max"] > tokens["prompt"]["p50"] > 0
    lengths = [
        row["prompt_tokens"] for row in pq.read_table(out / "rl" / "train.parquet")["extra_info"].to_pylist()
    ]
    assert max(lengths) == max(one["tokens"]["prompt"]["max"] for one in everything["sources"].values())

    limit = tokens["prompt"]["p50"]
    out, dropped = prepare(*words, f"data.max_prompt_tokens={limit}", "data.max_dropped_share=1")
    account = dropped["sources"]["funreason_mt"]
    lengths = [
        row["prompt_tokens"] for row in pq.read_table(out / "rl" / "train.parquet")["extra_info"].to_pylist()
    ]
    assert max(lengths) <= limit
    assert account["steps"] + account["steps_dropped"].get("overlong", 0) <= 15
    assert account["steps"] < 15

    with pytest.raises(UserError, match=r"apigen_8rows.jsonl:1.*too long.*max_prompt_tokens"):
        prepare(*words, "data.max_prompt_tokens=1", "data.overlong=fail")
