"""The names that users may rely on, in one place, and what importing them costs."""

import subprocess
import sys

import pytest

import funreason_train


@pytest.mark.parametrize("name", funreason_train.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(funreason_train, name)
    assert found.__doc__ and found.__name__ == name


def test_every_name_has_a_home() -> None:
    assert sorted(funreason_train._MODULES) == funreason_train.__all__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        funreason_train.no_such  # noqa: B018


def test_the_package_alone_loads_nothing_else() -> None:
    code = (
        "import sys, funreason_train; "
        "sys.exit(any(m.startswith('funreason_train.') or m in ('hydra', 'torch') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
