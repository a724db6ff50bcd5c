"""The reference of the settings says what the files and models say."""

from __future__ import annotations

from pathlib import Path

from funreason_train.settings.compose import compose, leaves
from funreason_train.settings.reference import reference, settings_of

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_page_in_docs_is_up_to_date() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference(), "run python -m funreason_train.settings.reference > docs/settings.md"


def test_it_has_every_setting_with_default_range_and_comment() -> None:
    page = reference()
    assert "| `learning_rate` | `4.0e-5` | a number above 0 and at most 1 | Not published; 4e-5" in page
    assert "| `bfcl.call_seconds` | `5` | a number above 0 | Seconds of processor time" in page
    free = ("sft.llamafactory.", "rl.verl.", "rl.devices.", "rl.reward.", "rl.algorithm.")
    for section in ("sft", "rl", "export", "eval", "doctor", "pipeline", "synth", "report", "serve_env"):
        listed = {f"{section}.{one.key}" for one in settings_of(CONFIGS / f"{section}.yaml")}
        there = {key for key in leaves(compose(None)) if key.startswith(f"{section}.")}
        missing = {key for key in there - listed if not key.startswith(free)}
        assert missing <= {"rl.reward", "rl.algorithm"}


def test_a_comment_belongs_to_the_key_below_it_and_a_head_to_none(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(
        "# @package one\n# The head.\ndefaults:\n  - a\n\n# First,\n# in two lines.\na: 1\nb: 2\n\n"
        "group:\n  # Inner.\n  c: [x]\n\nd: null   # behind\n"
    )
    assert [(one.key, one.default, one.comment) for one in settings_of(file)] == [
        ("a", "1", "First, in two lines."),
        ("b", "2", "as above"),
        ("group", None, ""),
        ("group.c", "[x]", "Inner."),
        ("d", "null", "behind"),
    ]
