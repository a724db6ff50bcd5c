"""The figures of a step reach every tracker that the settings name, under the same names."""

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funreason_train.reward import compute_score
from funreason_train.rl.settings.section import LOGGERS
from funreason_train.rl.train import records
from funreason_train.rl.train.records import Row
from funreason_train.run.trackers import LOCAL, forgiving
from funreason_train.settings.compose import compose
from funreason_train.sft.settings import TRACKERS

RECIPES = Path(__file__).parents[2] / "recipes"

GOLD = '{"calls": [{"name": "f", "arguments": {"a": 1}}], "tools": []}'


@pytest.fixture
def figures() -> dict[str, float]:
    answers = ["x</think>\n\n[f(a=1)]", "x</think>\n\n[f(a=2)]"]
    return records.figures(
        [Row(f"a_{n}_0", 0.5, compute_score("s", one, GOLD)) for n, one in enumerate(answers)]
    )


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, float]]]:
    """Modules with the trackers' names that keep what they are given."""
    kept: dict[str, dict[str, float]] = {}

    def fake(name: str) -> types.ModuleType:
        module: Any = types.ModuleType(name)

        def log(data: Any = None, step: int = 0, **_: Any) -> None:
            kept.setdefault(name, {}).update(data)

        module.log = log
        module.log_metrics = lambda metrics, step=0, **_: kept.setdefault(name, {}).update(metrics)
        module.init = module.login = module.finish = module.start_run = lambda *_, **__: None
        module.set_tracking_uri = module.log_params = module.end_run = lambda *_, **__: None
        module.set_experiment = lambda *_: types.SimpleNamespace(experiment_id="1")
        return module

    for name in ("wandb", "swanlab", "mlflow", "trackio"):
        monkeypatch.setitem(sys.modules, name, fake(name))
    context: Any = types.ModuleType("trackio.context_vars")
    context.current_run = types.SimpleNamespace(get=lambda: None)
    sys.modules["trackio"].context_vars = context  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio.context_vars", context)
    yield kept


@pytest.mark.parametrize("name", ["wandb", "swanlab", "mlflow", "trackio"])
def test_a_tracker_gets_every_series(name: str, fakes: Any, figures: dict[str, float]) -> None:
    from verl.utils.tracking import Tracking

    assert name in LOGGERS and name in TRACKERS
    Tracking("project", "run", [name], config={"trainer": {"project": "p"}}).log(figures, step=3)
    assert fakes[name] == figures
    assert {"health/score", "health/groups_without_signal", "reason/right", "reason/values"} <= figures.keys()


def test_tensorboard_gets_every_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: dict[str, float]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from verl.utils.tracking import Tracking

    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path))
    tracking = Tracking("project", "run", ["tensorboard"])
    tracking.log(figures, step=3)
    tracking.finish()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert set(found.Tags()["scalars"]) == set(figures)
    assert found.Scalars("reason/values")[0].value == 0.5


def test_transformers_knows_every_tracker_of_sft() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    assert set(TRACKERS) <= set(INTEGRATION_TO_CALLBACK)


@pytest.mark.parametrize("reason", ["a/b\n<c>", "\ud800", "x" * 500, "", {"a": [1]}])
def test_a_reason_of_any_reward_makes_a_name_that_trackers_take(reason: Any) -> None:
    found = records.figures([Row("a_0_0", 1.0, {"reason": reason})])
    (name,) = [name for name in found if name.startswith("reason/")]
    assert len(name) <= 67 and name.isascii() and name.isprintable() and name.count("/") == 1
    json.dumps(found)


@pytest.mark.parametrize("name", ["wandb", "swanlab", "mlflow", "trackio"])
def test_a_tracker_that_cannot_be_reached_costs_its_figures_and_not_the_run(
    name: str, fakes: Any, figures: dict[str, float], capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """wandb#4217, #8957."""
    from verl.utils.tracking import Tracking

    from funreason_train.rl.train.trainer import _tracking

    def fails(*_: Any, **__: Any) -> None:
        raise ConnectionError("nobody answers\nwith a long story")

    module = sys.modules[name]
    for function in ("log", "log_metrics", "finish", "end_run"):
        monkeypatch.setattr(module, function, fails)
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path))
    kept = _tracking(Tracking)("project", "run", [name, "tensorboard"], config={"trainer": {"project": "p"}})
    for step in range(3):
        kept.log(figures, step=step)
    kept.finish()
    said = capsys.readouterr().err
    assert f"the tracker {name} takes no figures (" in said and "long story" not in said
    assert said.count("takes no figures") <= 2, "once for three steps, once for the end"
    assert list(tmp_path.iterdir()), "the local one has them"


def test_the_local_record_is_not_forgiven() -> None:
    """A disk that is full is the run's own trouble."""
    from verl.utils.tracking import Tracking

    from funreason_train.rl.train.trainer import _tracking

    kept = _tracking(Tracking)("project", "run", ["console"])
    kept._logs = {"tensorboard": forgiving(_full, "tensorboard")}
    with pytest.raises(OSError, match="No space"):
        kept.log({}, step=1)


def _full(**_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_sft_s_trackers_are_forgiven_as_well(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from transformers.integrations import integration_utils

    from funreason_train.sft.train.worker import _forgive

    class Callback:
        def on_log(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("nobody answers")

    class Local(Callback):
        pass

    kinds = {"wandb": Callback, "tensorboard": Local}
    monkeypatch.setattr(integration_utils, "INTEGRATION_TO_CALLBACK", kinds)
    _forgive(["wandb", "tensorboard", "none"])
    Callback().on_log()
    Callback().on_log()
    assert capsys.readouterr().err.count("the tracker wandb takes no figures") == 1


@pytest.mark.parametrize("recipe", sorted(file.stem for file in RECIPES.glob("*.yaml")))
def test_nothing_shipped_sends_figures_elsewhere(recipe: str) -> None:
    config = compose("pipeline", [f"+recipe={recipe}"])
    assert {*config.rl.loggers, *config.sft.report_to} <= LOCAL
