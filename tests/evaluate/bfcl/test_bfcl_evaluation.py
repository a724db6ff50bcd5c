"""`benchmark=bfcl` from settings to files, with a `run_bfcl` that writes known results instead of a model."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl.bfcl_results import verdicts, write_results
from evaluate.mock_endpoint import serving
from evaluate.test_results import rounded

from funreason_train.commands.cli import main
from funreason_train.errors import UserError
from funreason_train.evaluate import stage
from funreason_train.evaluate.bfcl import evaluation
from funreason_train.evaluate.browser import read_browser
from funreason_train.evaluate.results import FORMAT, read_scores
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve

SHARES = {"base": 0.2, "sft": 0.5, "rl": 0.6}


@pytest.fixture
def folders(tmp_path: Path) -> Any:
    """Folders that look like models."""
    for name in SHARES:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        for file in ("config.json", "tokenizer.json"):
            (folder / file).write_text("{}")
        header = json.dumps({"__metadata__": {"name": name}}).encode()
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        (folder / "chat_template.jinja").write_text("x")
    return tmp_path / "models"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The calls of `run_bfcl`, which writes results of about the model's share."""
    calls = []

    def run_bfcl(models: Any, options: Any, logs: Any) -> dict[str, Any]:
        for model in models:
            calls.append((model.name, model.out, options))
            rights = {
                name: verdicts(name, SHARES[model.name], options.sampling.seed, 40)
                for name in options.categories
                if name != "memory_vector"
            }
            lacking = {"memory_vector": "no embedding model"} if "memory_vector" in options.categories else {}
            write_results(model.out, rights, options.version, lacking)
        return {}

    monkeypatch.setattr(evaluation, "run_bfcl", run_bfcl)
    return calls


def configured(tmp_path: Path, *words: Any) -> Any:
    run = RunDir.at(tmp_path / "run")
    words = ("benchmark=bfcl", "limit=40", *words)
    return resolve(compose("eval", [f"run_dir={run.root}", *words]), "eval"), run


def three(folders: Any) -> str:
    return f"model=[{','.join(str(folders / name) for name in SHARES)}]"


def test_three_models_make_one_table_scores_failures_and_a_page(
    tmp_path: Path, folders: Any, asked: Any
) -> None:
    config, run = configured(tmp_path, three(folders), "categories=[multi_turn,memory]")
    assert dict(config.eval.models) == {name: str(folders / name) for name in SHARES}
    result = stage.run(config, run)
    assert [name for name, _, _ in asked] == list(SHARES)
    options = asked[0][2]
    assert (options.version, options.limit, options.style) == ("2026.3.23", 40, "bfcl")
    assert options.sampling.top_p == 0.7 and options.sampling.max_tokens == 20000
    table = run.eval_table("bfcl").read_text(encoding="utf-8")
    assert result["table"] == str(run.eval_table("bfcl")) and "bfcl-eval 2026.3.23" in table
    assert all(f"| {name} | 2026.3.23 |" in table for name in SHARES)
    assert "| rl minus base |" in table and "memory_vector: no embedding model" in table
    assert "A sample: at most 40 entries" in table
    everything = json.loads((run.root / "eval" / "bfcl.json").read_text())
    for name in SHARES:
        scores = json.loads((run.eval(name, "bfcl") / "scores.json").read_text())
        assert scores == everything["models"][name] and scores["bfcl_version"] == "2026.3.23"
        rights = [right for part in ("base", "miss_func", "miss_param", "long_context")
                  for right in verdicts(f"multi_turn_{part}", SHARES[name], 0, 40)]  # fmt: skip
        assert scores["columns"]["multi_turn.overall"]["value"] == pytest.approx(sum(rights) / 160)
        assert scores["columns"]["v4.memory"] == {"not_run": ["memory_vector: no embedding model"]}
        failures = (run.eval(name, "bfcl") / "failures.jsonl").read_text().splitlines()
        assert len(failures) == sum(part["tasks"] - part["right"] for part in scores["categories"].values())
        assert {"id", "reasons", "prompt", "completions", "gold", "question"} <= json.loads(
            failures[0]
        ).keys()
    page = read_browser(run.eval_failures("bfcl"))
    assert page["models"] == list(SHARES) and len(page["entries"]) == 6 * 40
    assert "question 0 of multi_turn_base" in json.dumps(page["entries"])


def test_seeds_and_samples_run_each_in_a_folder_of_its_own(tmp_path: Path, folders: Any, asked: Any) -> None:
    config, run = configured(
        tmp_path,
        f"model={folders / 'rl'}",
        "categories=[parallel]",
        "seeds=[3,5]",
        "samples=2",
        "pass_k=[2]",
        "temperature=0.7",
    )
    stage.run(config, run)
    assert len({out for _, out, _ in asked}) == len({o.sampling.seed for _, _, o in asked}) == 4
    assert [o.sampling.seed for _, _, o in asked][::2] == [3, 5]
    scores = json.loads((run.eval("rl", "bfcl") / "scores.json").read_text())
    part = scores["categories"]["parallel"]
    every = [verdicts("parallel", 0.6, o.sampling.seed, 40) for _, _, o in asked]
    assert part["attempts"] == 4 and part["right"] == sum(map(sum, every))
    either = [[a or b for a, b in zip(*every[n : n + 2], strict=True)] for n in (0, 2)]
    assert part["pass_at_k"]["2"]["value"] == pytest.approx(sum(map(sum, either)) / 80)
    assert set(part["seeds"]["values"]) == {"3", "5"}
    assert "pass@2" in run.eval_table("bfcl").read_text()


def test_results_of_another_version_are_refused_before_anything_runs(
    tmp_path: Path, folders: Any, asked: Any
) -> None:
    config, run = configured(tmp_path, three(folders), "categories=[parallel]")
    write_results(run.eval("sft", "bfcl"), {"parallel": [True] * 40}, "2025.8.25")
    with pytest.raises(
        UserError, match=r"results of BFCL 2025\.8\.25 here, and version 2026\.3\.23 is asked"
    ):
        stage.run(config, run)
    assert not asked
    (run.eval("sft", "bfcl") / "info.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        stage.run(config, run)
    config.eval.bfcl.version = "2025.8.25"
    write_results(run.eval("sft", "bfcl"), {"parallel": [True] * 40}, "2025.8.25")
    stage.run(config, run)
    assert "bfcl-eval 2025.8.25" in run.eval_table("bfcl").read_text()


def test_one_server_is_asked_for_each_model_under_its_own_name(
    tmp_path: Path, folders: Any, asked: Any
) -> None:
    with serving({}) as server:
        config, run = configured(tmp_path, three(folders), "categories=[parallel]", f"endpoint={server.url}")
        with pytest.raises(UserError, match=rf"serves tiny, not {folders / 'base'}"):
            stage.run(config, run)
        assert not asked
        server.names = [str(folders / name) for name in SHARES]
        stage.run(config, run)
    assert [options.served_name for _, _, options in asked] == server.names
    config, run = configured(tmp_path, three(folders), "endpoint=http://x/v1", "served_name=mine")
    assert any("served_name names one model" in problem for problem in stage.check(config, run))


def test_results_that_were_not_finished_are_told(
    tmp_path: Path, folders: Any, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "run_bfcl", lambda *_: {})
    config, run = configured(tmp_path, f"model={folders / 'rl'}", "categories=[parallel]")
    with pytest.raises(UserError, match="not finished"):
        stage.run(config, run)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/x/a/sft/model", "/x/b/export"], ["a-sft", "b"]),
        (["/x/a/export", "/x/b/export", "/x/b/base"], ["a", "b", "base"]),
        (["/x/one/run/export", "/x/two/run/export"], ["one-run", "two-run"]),
        (["/x/a/base", "/x/a/sft/model", "/x/a/export"], ["base", "sft", "export"]),
        (["/x/a/export"], ["export"]),
        (
            ["/x/a/sft/model", "/models/Qwen3-4B", "Qwen/Qwen3-4B-Base"],
            ["a-sft", "Qwen3-4B", "Qwen3-4B-Base"],
        ),
        (["Qwen/Qwen3-4B", "/mine/Qwen3-4B"], ["Qwen-Qwen3-4B", "mine-Qwen3-4B"]),
        (["/x/a/export", "/x/a/model"], ["export", "model"]),
        (["/x/a/base", "/x/b/base"], ["a-base", "b-base"]),
        (["/x/my run/export", "/x/b/export"], ["my_run", "b"]),
    ],
)
def test_models_in_a_list_are_named_after_their_runs(
    tmp_path: Path, paths: list[str], names: list[str]
) -> None:
    config, _ = configured(tmp_path, f"model=[{','.join(map(repr, paths))}]")
    assert dict(config.eval.models) == dict(zip(names, paths, strict=True))


def test_the_same_model_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="twice"):
        configured(tmp_path, "model=[/a/b,/a/b]")
    with pytest.raises(UserError, match="no short names"):
        configured(tmp_path, "model=[/a b,/a_b]")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("categories=[multi_trun_base]", "Did you mean multi_turn_base?"),
        ("categories=[]", "must be a list of at least one item"),
        ("bfcl.version=2024.1.1", "must be 2026.3.23 or 2025.8.25"),
        ("samples=4", "greedy completions"),
        ("bfcl.call_seconds=0", "must be a number above 0"),
        ("benchmark=bfc", "Did you mean bfcl?"),
        ("endpoint=http://127.0.0.1:9/v1", "the endpoint does not answer"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    tmp_path: Path, folders: Any, word: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark=bfcl", "categories=[parallel]", f"model={folders / 'rl'}"]
    assert main(["eval", *words, word, f"run_dir={tmp_path / 'run'}"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error and "Traceback" not in error


def test_a_model_without_a_chat_template_is_told(
    tmp_path: Path, folders: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "rl" / "chat_template.jinja").unlink()
    assert main(["eval", "benchmark=bfcl", f"model={folders / 'rl'}", f"run_dir={tmp_path / 'run'}"]) == 2
    assert "no chat template" in " ".join(capsys.readouterr().err.split())


GOLDEN = Path(__file__).with_name("scores.json")


def test_scores_have_the_form_that_others_read(tmp_path: Path, folders: Any, asked: Any) -> None:
    """A change of the golden file is a change of `FORMAT`."""
    words = ("categories=[parallel,memory]", "seeds=[3,5]", "samples=2", "pass_k=[2]", "temperature=0.7")
    config, run = configured(tmp_path, f"model={folders / 'rl'}", *words)
    stage.run(config, run)
    found = read_scores(run.eval("rl", "bfcl"))
    found["model"] |= {"path": "MODEL", "fingerprint": "FINGERPRINT"}
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert list(found) == list(golden) and rounded(found) == golden and golden["format"] == FORMAT


def test_scores_of_another_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(
        json.dumps({**json.loads(GOLDEN.read_text()), "format": FORMAT + 1})
    )
    with pytest.raises(UserError, match=f"format {FORMAT + 1}, and this version reads {FORMAT}"):
        read_scores(tmp_path)
