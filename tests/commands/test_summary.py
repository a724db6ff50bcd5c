"""What a pipeline sums up at its end."""

import json
from pathlib import Path

from commands.report.made_run import make_run

from funreason_train.commands.summary import summarise
from funreason_train.settings import load_settings


def test_held_out_scores_of_an_earlier_evaluation_are_not_those_of_this_pipeline(tmp_path: Path) -> None:
    """Of a pipeline that ended with BFCL, the summary told what older models had done."""
    run = make_run(tmp_path / "run", 1, 1)
    words = [f"run_dir={run.root}", "pipeline.stages=[data,sft,rl,eval]"]
    found = summarise(load_settings("pipeline", words), run)
    assert found["heldout"]["rl"] == 5 / 8
    found = summarise(load_settings("pipeline", [*words, "eval.benchmark=bfcl"]), run)
    assert found["heldout"] == {} == json.loads(run.summary.read_text())["heldout"]
