"""Values against the sections' models: a mistake is one sentence, and all are told at once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from funreason_train.commands import cli
from funreason_train.commands.stages import STAGES
from funreason_train.errors import Problem, UserError
from funreason_train.settings import check, load_settings
from funreason_train.settings.compose import compose, leaves
from funreason_train.settings.describe import choices, members, sections, split, takes_null
from funreason_train.settings.keys import annotation_of_key
from funreason_train.settings.places import formats, group_choices, recipes
from funreason_train.settings.root import STAGE_NAMES, models


def told(command: str, *words: str) -> list[str]:
    return [str(problem) for problem in check.problems(compose(command, words)).values()]


@pytest.mark.parametrize(
    ("command", "word", "key"),
    [
        ("rl", "cluster.env={WANDB_API_KEY: abcdef12}", "cluster.env.WANDB_API_KEY"),
        ("synth", "synth.endpoint='https://me:hunter22@host/v1'", "synth.endpoint"),
        ("eval", "eval.endpoint='https://host/v1?api_key=hunter22'", "eval.endpoint"),
        ("eval", "notify='curl -H \"Authorization: Bearer hunter22hunter22\" https://host'", "notify"),
    ],
)
def test_a_secret_in_a_setting_is_refused_and_not_repeated(command: str, word: str, key: str) -> None:
    """Every setting is written into the run directory: config.yaml, attempt.json, reports."""
    (problem,) = told(command, word)
    assert problem.startswith(f"{key}: holds a secret, which would be written into files. Put it into an env")
    assert "hunter" not in problem and "abcdef" not in problem


@pytest.mark.parametrize("word", ["cluster.env.FOO=${oc.env:MY_TOKEN}", "notify='post ${oc.env:MY_TOKEN}'"])
def test_a_secret_of_the_environment_is_no_setting_either(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `${oc.env:…}` stands for was written out: config.yaml, manifest.json, the plan of a dry run."""
    monkeypatch.setenv("MY_TOKEN", "as-good-as-any-other")
    (problem,) = told("rl", word)
    assert "holds a secret" in problem and "as-good-as" not in problem
    monkeypatch.setenv("MY_TOKEN", "short")
    assert told("rl", word) == []


def test_a_path_that_a_variable_of_such_a_name_holds_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_CREDENTIALS", str(tmp_path))
    assert told("rl", f"run_dir={tmp_path}/run") == []


@pytest.mark.parametrize(
    ("command", "word", "sentence"),
    [
        # ended in a traceback
        ("eval", "temperature=null", "eval.temperature=null: must be a number of at least 0"),
        (
            "eval",
            "seeds=[a,b]",
            "eval.seeds=[a, b]: the item a must be a whole number from 0 to 4,294,967,295",
        ),
        ("eval", "max_tokens=null", "eval.max_tokens=null: must be a whole number of at least 1"),
        ("eval", "bfcl=null", "eval.bfcl=null: must be a group of keys (version, call_seconds, memory_mib"),
        ("sft", "global_batch=null", "sft.global_batch=null: must be a whole number of at least 1"),
        ("sft", "deepspeed=zero9", "sft.deepspeed=zero9: must be zero2, zero3 or FILE.json, or null"),
        ("sft", "deepspeed={a: 1}", "sft.deepspeed={a: 1}: must be zero2, zero3 or FILE.json, or null"),
        # were accepted
        ("sft", "learning_rate=-1", "sft.learning_rate=-1: must be a number above 0 and at most 1"),
        ("sft", "warmup_ratio=9", "sft.warmup_ratio=9: must be a number of at least 0 and below 1"),
        ("sft", "attention=banana", "sft.attention=banana: must be one of auto, varlen, fa2, sdpa, disabled"),
        ("sft", "cluster.device=tpu", "cluster.device=tpu: must be cpu or cuda. Did you mean cpu?"),
        ("sft", "cluster.device=gpu", "cluster.device=gpu: must be cpu or cuda. Did you mean cuda?"),
        ("eval", "gpu_memory=7", "eval.gpu_memory=7: must be a number above 0 and at most 1"),
        # relatives
        (
            "sft",
            "packing=true",
            "packing needs the length of a sequence. Set sft.cutoff_len above the longest row",
        ),
        ("sft", "epochs=null", "sft.epochs=null: nothing would be trained. Set sft.epochs or sft.max_steps"),
        ("sft", "report_to=tensorboard", "Write sft.report_to=[tensorboard]"),
        (
            "rl",
            "algorithm.advantage=egpo",
            "EGPO needs a number above 0. Choose algorithm=egpo, which sets it",
        ),
        ("rl", "reward.soft_weight=0.5", "needs both soft_chars and max_chars"),
        ("rl", "health=null", "rl.health=null: must be a group of keys (patience, warn, stop)"),
        ("data", "apigen=5", "there is no setting 'data.apigen'")
        if False
        else ("data", "val_share=1", "below 1"),
        ("data", "datasets={apigen: 1}", "data.datasets={apigen: 1}: must be a list of at least one item"),
        ("rl", "cluster.env=[A]", "cluster.env=[A]: must be keys of your own, each text"),
        ("runs", "of=runs/a", "Write runs.of=[runs/a]"),
        ("runs", "of=runs/a,runs/b", "Write runs.of=[runs/a,runs/b]"),
        (
            "runs",
            "of=[runs/a,b (2)]",
            "Put names with blanks, brackets or commas in quotes: runs.of=['a b',c]",
        ),
        ("data", "datasets=[3]", "the item 3 must be text. Put it in quotes"),
        ("data", "seed=1,2,3", "A command takes one value of each setting; run it once for each"),
        ("eval", "models={a: 1}", "eval.models.a=1: must be a model folder or hub id. Put it in quotes"),
        ("export", "shard_size=big", "export.shard_size=big: must be a size such as 5GB"),
        (
            "pipeline",
            "stages=[data,deploy]",
            "item deploy must be one of synth, data, sft, rl, export",
        ),
        (
            "pipeline",
            "restart=rl2",
            "restart=rl2: must be one of synth, data, sft, rl",
        ),
        ("sft", "cluster.env={A: [1]}", "cluster.env.A=[1]: must be text"),
        ("sft", "cluster.gpus_per_node=2", "cluster.gpus_per_node=2: must be 0 with cluster.device=cpu"),
        ("data", "model.head_dim=3", "model.head_dim=3: must be even"),
    ],
)
def test_each_mistake_is_one_sentence(command: str, word: str, sentence: str) -> None:
    (problem,) = told(command, word)
    assert sentence in problem


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("stages=[sft", " The list is not closed: pipeline.stages=[sft]"),
        ("stages=[]", ""),
        ("stages=[sft,]", ""),
    ],
)
def test_a_list_is_called_open_only_if_it_is(word: str, fix: str) -> None:
    (problem,) = told("pipeline", word)
    assert problem.partition("each one of synth, data, sft, rl, export, eval")[2].lstrip(".") == fix


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("run_dir=" + "a/" * 2000, "has more than 3,500 bytes"),
        ("model=" + "a" * 256, "has a name of more than 255 bytes"),
        ("run_dir=\ud800", "run_dir"),
        ("seed=" + "9" * 5000, "must be a whole number"),
        ("sft.llamafactory={1: 2}", "sft.llamafactory.1: the installed LLaMA-Factory has no such argument"),
    ],
)
def test_words_beyond_all_bounds_are_no_traceback(
    word: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sft", "dry_run=true", word]) in (0, 2)
    found = capsys.readouterr()
    assert sentence in found.out + found.err


def test_all_of_them_are_told_at_once_with_unknown_keys_and_wherever_they_are() -> None:
    words = ["samples=some", "categories=multi_turn", "temperature=[1]", "tempratur=1", "sft.epochs=-1"]
    with pytest.raises(UserError) as caught:
        load_settings("eval", words)
    told = str(caught.value)
    assert all(
        key in told for key in ("eval.samples", "categories", "temperature=", "tempratur", "sft.epochs")
    )
    assert told.startswith("5 problems would stop the run:")


def test_a_value_that_follows_from_a_wrong_one_is_not_told_as_well() -> None:
    assert told("eval", "seed=abc") == ["seed=abc: must be a whole number from 0 to 4,294,967,295"]
    assert len(told("rl", "cluster.device=tpu")) == 1


def test_what_is_written_like_a_number_is_a_text_where_only_a_text_can_stand() -> None:
    config = load_settings("data", ["run_dir=2024", "out=007", "apigen.path=1e3", "sft.dataset=true"])
    assert (config.data.out, config.data.apigen.path, config.sft.dataset) == ("007", "1e3", "true")
    assert config.run_dir.endswith("/2024")


def test_off_is_a_word_however_yaml_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "data: {dedup: off, decontaminate: no, length_cache: off, tokenizer: off, parity: false}\n"
    )
    data = load_settings("data", [f"+recipe={file}"]).data
    assert {data.dedup, data.decontaminate, data.length_cache, data.tokenizer, data.parity} == {"off"}


@pytest.mark.parametrize(
    "word",
    [
        *(f"{group}={name}" for group, names in group_choices().items() for name in names),
        *(f"+recipe={name}" for name in recipes()),
        *(f"data.mine.format={name}" for name in formats()),
    ],
)
def test_everything_that_is_shipped_is_right(word: str) -> None:
    assert told("data", word) == []


def test_the_stages_have_the_names_that_settings_take() -> None:
    assert tuple(STAGES) == STAGE_NAMES


def test_a_dry_run_says_what_would_not_start_and_shows_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["rl", "samples_per_prompt=1", "temperature=-1", "dry_run=true", f"run_dir={tmp_path}"]
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert "2 problems would stop the run" in told
    assert "rl.temperature=-1" in told
    assert (tmp_path / "plan" / "config.yaml").is_file()
    assert cli.main(["rl", "dry_run=true", f"run_dir={tmp_path}"]) == 0
    assert (tmp_path / "plan" / "rl.yaml").is_file()


# --- every key of every section, fed with values of every kind ---

SHIPPED = compose(None)
KEYS = [key for key in leaves(SHIPPED) if not any(key.startswith(f"{node}.") for node in ("cluster.env",))]
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, -7, 10**30, -(10**30), 0.5, 1.5, -0.25, float("nan"), float("inf"),
    float("-inf"), -0.0, "", " ", "a\nb", "a\0b", "٣", "banana", "3", "true", "null", "a/b", "[1]",
    [], [1], ["a"], [None], [[1]], [{"a": 1}],
    {}, {"a": 1}, {"a": {"b": 2}},
]  # fmt: skip


PLAIN: Any = OmegaConf.to_container(SHIPPED, resolve=True)


def changed(key: str, value: Any) -> dict[str, Problem]:
    """What is said of a section in which one key has another value."""
    section, _, rest = key.partition(".")
    name = section if section in models() else ""
    values = copy.deepcopy(PLAIN[section] if name else {k: v for k, v in PLAIN.items() if k not in models()})
    if not rest and name:
        return check.of_section(name, value)
    node, *parts = values, *(rest if name else key).split(".")
    for part in parts[:-1]:
        node = node[part]
    node[parts[-1]] = value
    return check.of_section(name, values)


def may_be(annotation: Any, value: Any) -> bool:
    """Whether a value is of a kind that the type takes at all (ranges aside)."""
    kinds = {split(member)[0] for member in members(annotation)}
    plain = {getattr(kind, "__origin__", kind) for kind in kinds}
    if Any in kinds:
        return True
    if value is None:
        return takes_null(annotation)
    if isinstance(value, dict):
        return bool(sections(annotation)) or dict in plain
    if isinstance(value, list):
        return list in plain
    names = choices(annotation)
    if isinstance(value, str):
        return (str in kinds and value.strip() != "" and not {"\n", "\0"} & set(value)) or value in names
    if isinstance(value, bool):
        return bool in kinds or (not value and "off" in names) or _may_be_off(annotation)
    if isinstance(value, int):
        return bool({int, float} & kinds)
    return float in kinds and value == value and abs(value) != float("inf")


def _may_be_off(annotation: Any) -> bool:
    return any(type(mark).__name__ == "BeforeValidator" for mark in split(annotation)[1])


@pytest.mark.parametrize("key", KEYS)
def test_a_value_of_the_wrong_kind_is_told_and_never_a_traceback(key: str) -> None:
    annotation = annotation_of_key(key)
    for value in VALUES:
        found = changed(key, value)
        text = [str(problem) for problem in found.values()]
        if not may_be(annotation, value):
            assert found, f"{key}={value!r} was accepted"
            assert any(key in told for told in text), (key, value, text)
        assert all("\n" not in told and len(told) < 1200 for told in text)


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(KEYS),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
                ),
                max_leaves=4,
            ),
        ),
        max_size=4,
    )
)
def test_no_configuration_ends_in_a_traceback(pairs: list[tuple[str, Any]]) -> None:
    config = SHIPPED.copy()
    OmegaConf.set_struct(config, False)
    for key, value in pairs:
        try:
            OmegaConf.update(config, key, value, merge=False, force_add=True)
        except Exception:  # OmegaConf cannot hold it, so no file can say it
            continue
    for problem in check.problems(config).values():
        assert str(problem)
