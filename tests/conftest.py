"""What every test shares: property tests have no deadline, and a test that does not run is a failure.

Machines differ and can be busy. A test may be skipped for want of a GPU, or because FUNREASON_SLOW is not
set; any other skip means that something was not tested which should have been, and the test command fails.
"""

import os
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from omegaconf import OmegaConf

_MAY_BE_SKIPPED = re.compile(r"\bGPU\b|\bFUNREASON_SLOW\b")
_SKIPPED = pytest.StashKey[list[str]]()

#: The files that take longest, longest first: one that came last would keep one core busy alone.
_FIRST = (
    *("smoke/test_rl_verl.py", "smoke/test_sft_workers.py", "smoke/test_pipeline.py"),
    *("smoke/test_played_cluster.py", "smoke/test_supervised_sft.py", "smoke/test_rl_episodes.py"),
    *("smoke/test_synth_ray.py", "smoke/test_tree_training.py", "smoke/test_bfcl_vllm.py"),
    *("synth/test_mcp_synth.py", "models/test_hub.py", "environments/mcp/test_mcp_environment.py"),
    *("evaluate/bfcl/test_bfcl_command.py", "recipes/test_recipes.py", "settings/test_every_key.py"),
    *("synth/test_hostile_mcp.py", "commands/supervise/test_hangs.py", "rl/test_rl_validate.py"),
    *("evaluate/test_eval_stage.py", "synth/test_leaks.py", "synth/test_phases.py", "test_skips.py"),
)

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _settings_files_are_parsed_once() -> Iterator[None]:
    """Hydra parses some thirty files anew for each composition, and most of a suite's time would go there."""
    load, kept = OmegaConf.load, dict[tuple[Any, ...], bytes]()

    def once(file: Any) -> Any:
        if not hasattr(file, "fileno"):
            return load(file)
        stat = os.fstat(file.fileno())
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in kept:
            kept[key] = pickle.dumps(load(file))
        return pickle.loads(kept[key])  # noqa: S301  # pickled here

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", staticmethod(once))
        yield


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs the stage synth with these words; gives the folder that it made, once for the same words."""
    made: dict[tuple[str, ...], Path] = {}

    def run(*words: str) -> Path:
        if words not in made:
            from funreason_train.run.paths import RunDir
            from funreason_train.settings.compose import compose
            from funreason_train.synth import stage

            root = tmp_path_factory.mktemp("synth")
            config = compose("synth", [f"run_dir={root}", *words])
            made[words] = Path(stage.run(config, RunDir.at(root))["out"])
        return made[words]

    return run


@pytest.fixture
def lamp_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module that registers an environment of this name, with one tool; gives the module's name."""
    from funreason_train.environments import registry

    def write(name: str) -> str:
        (tmp_path / f"{name}_module.py").write_text(_LAMP.format(name=name))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(registry, "ENVIRONMENTS", dict(registry.ENVIRONMENTS))
        return f"{name}_module"

    return write


_LAMP = '''
from funreason_train.environments import TableWorld, register_environment, tool

@register_environment
class Lamp(TableWorld):
    name = "{name}"
    tables = ("lamps",)

    @tool
    def switch_on(self, lamp: str):
        """Switch a lamp on."""
        self.record("lamps", lamp)["on"] = True
        return {{"on": True}}
'''


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SKIPPED] = []
    if not hasattr(
        config, "workerinput"
    ):  # the workers of pytest-xdist report to the process that started them
        config.pluginmanager.register(_Skips(config.stash[_SKIPPED]), "skips-that-fail")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first, which pytest-xdist hands out in this order (`--no-loadscope-reorder`)."""
    place = {name: number for number, name in enumerate(_FIRST)}
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        inside = item.path.is_relative_to(here)
        return place.get(item.path.relative_to(here).as_posix(), len(place)) if inside else len(place)

    items.sort(key=rank)


class _Skips:
    """Collects the skips that must not be, of tests and of whole files."""

    def __init__(self, found: list[str]) -> None:
        self.found = found

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._note(report.nodeid, report.longrepr)

    def _note(self, name: str, why: object) -> None:
        reason = str(why[2] if isinstance(why, tuple) else why)
        if not _MAY_BE_SKIPPED.search(reason):
            self.found.append(f"{name}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.found and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.found:
            terminalreporter.section("skipped, which counts as failed", red=True)
            for line in self.found:
                terminalreporter.write_line(line)
