"""What every test shares: property tests have no deadline, since machines differ and can be busy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


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
