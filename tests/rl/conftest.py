"""The RL stage sets variables of its process; each test gets them back as they were."""

import os

import pytest


@pytest.fixture(autouse=True)
def environment():
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
