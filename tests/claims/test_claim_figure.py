"""The picture of a table shows each accuracy where it is, and no name becomes markup."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import claim_figure
import pytest
from claim_figure import Line, draw, of_claim, of_run

SVG = "{http://www.w3.org/2000/svg}"


def test_dots_and_intervals_stand_where_the_figures_say() -> None:
    picture = ElementTree.fromstring(draw("T", [Line("g", "a", 0, 20), Line("g", "b", 20, 20)]))
    first, second = (float(dot.attrib["cx"]) for dot in picture.iter(f"{SVG}circle"))
    assert (first, second) == (claim_figure._LEFT, claim_figure._LEFT + claim_figure._PLOT)
    whiskers = [line for line in picture.iter(f"{SVG}line") if line.get("stroke-width")]
    assert float(whiskers[0].attrib["x2"]) > first and float(whiskers[1].attrib["x1"]) < second


def test_a_name_never_becomes_markup() -> None:
    picture = ElementTree.fromstring(draw("<b>&", [Line("<i>", "</svg><script>", 1, 2)]))
    assert not list(picture.iter("script")) and "<b>&" in "".join(picture.itertext())


def test_a_record_and_a_run_give_their_rows(tmp_path: Path) -> None:
    rows = [{"arm": "x", "tasks": "hard", "right": 3, "n": 9}]
    title, lines = of_claim({"question": "Q?", "scale": "small", "seeds": [0, 1], "rows": rows})
    assert title == "Q? (small scale, 2 seeds)" and lines == [Line("hard", "x", 3, 9)]
    for name, right in (("base", 0), ("sft", 4)):
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "scores.json").write_text(
            f'{{"categories": {{"plain": {{"right": {right}, "tasks": 8}}}}}}'
        )
    assert of_run(tmp_path)[1] == [Line("plain", "base", 0, 8), Line("plain", "sft", 4, 8)]


def test_a_run_without_an_evaluation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["claim_figure.py", str(tmp_path), str(tmp_path / "x.svg")])
    with pytest.raises(SystemExit, match="holds no accuracies yet"):
        claim_figure.main()
