"""The package as it is installed from a wheel, without a checkout beside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def test_an_installed_wheel_composes_its_recipes(tmp_path: Path) -> None:
    """Nothing but the package lands in site-packages, and configurations and recipes come with it."""
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    name = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=REPO, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    site = tmp_path / "site"
    with zipfile.ZipFile(tmp_path / name) as wheel:
        wheel.extractall(site)
    tops = {path.name for path in site.iterdir()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"funreason_train"}
    show = (
        "import funreason_train; from funreason_train.settings.compose import compose;"
        "print(funreason_train.__file__); print(compose('rl', ['+recipe=egpo_4b']).rl.algorithm.name)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", show], cwd=site, env={"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert shown.stderr == ""
    assert shown.stdout.splitlines() == [str(site / "funreason_train" / "__init__.py"), "egpo"]
