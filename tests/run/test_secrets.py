"""Secrets of the environment never reach what is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from funreason_train.run.secrets import is_secret, redacted, without_secrets

ENVIRONMENT = {"HF_TOKEN": "hf_abcdefgh", "OPENAI_API_KEY": "sk-1234567", "SHORT_KEY": "ab", "HOME": "/me"}
SECRET = ("HF_TOKEN", "WANDB_API_KEY", "RAY_AUTH_TOKEN", "db_password", "AWS_SECRET")
PLAIN = ("TOKENIZERS_PARALLELISM", "KEYBOARD", "PATH", "MONKEYS", "RAY_AUTH_MODE")


@pytest.mark.parametrize("name", [*SECRET, *PLAIN])
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name) is (name in SECRET)


def test_secrets_are_replaced_by_their_names() -> None:
    said = "login with hf_abcdefgh and sk-1234567 at https://me:hunter2@host/x from /me, about"
    assert redacted(said, ENVIRONMENT) == (
        "login with [HF_TOKEN] and [OPENAI_API_KEY] at https://me:[PASSWORD]@host/x from /me, about"
    )
    assert without_secrets(ENVIRONMENT) == {"HOME": "/me"}


@given(some.text(), some.text(min_size=6), some.text())
def test_no_secret_is_left_whatever_stands_around_it(before: str, secret: str, after: str) -> None:
    hidden = redacted(before + secret + after, {"MY_TOKEN": secret})
    assert (
        secret not in hidden.replace("[MY_TOKEN]", "") or secret in before + after or secret in "[MY_TOKEN]"
    )
