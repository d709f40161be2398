"""API keys: what the settings may say, who has a secret, and that no secret is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.errors import InvalidKey, InvalidSettings, MissingScope
from hearth.serving.access.keys import ADMIN, ALERT, FEEDBACK, PREDICT, READ, Keys, require

OPERATOR = "operators-long-secret"
READER = "readers-long-secret:with+signs"


def test_the_admin_key_is_for_everything() -> None:
    key = Keys.parse(OPERATOR, "").find(OPERATOR)

    assert (key.name, set(key.scopes)) == ("admin", {ADMIN, ALERT, FEEDBACK, PREDICT, READ})


def test_further_keys_have_the_scopes_that_they_are_given() -> None:
    keys = Keys.parse(OPERATOR, f"page:predict+read:{READER}\n  ops:admin:another-long-secret ")

    assert (keys.find(READER).name, set(keys.find(READER).scopes)) == ("page", {PREDICT, READ})
    assert set(keys.find("another-long-secret").scopes) == {ADMIN}


@pytest.mark.parametrize("secret", ["", OPERATOR[:-1], OPERATOR + " ", OPERATOR.upper(), "\ud800"])
def test_a_secret_that_nobody_has_is_refused(secret: str) -> None:
    with pytest.raises(InvalidKey):
        Keys.parse(OPERATOR, "").find(secret)


@given(st.text())
def test_any_text_is_compared_without_failing(secret: str) -> None:
    with pytest.raises(InvalidKey):
        Keys.parse(OPERATOR, f"page:predict:{READER}").find(secret)


@pytest.mark.parametrize(
    ("further", "said"),
    [
        ("page", "name:scopes:secret"),
        (f":predict:{READER}", "name:scopes:secret"),
        ("page:predict:", "name:scopes:secret"),
        (f"page::{READER}", "name:scopes:secret"),
        (f"page:predict+root:{READER}", "admin, predict, read, feedback"),
        ("page:predict:short", "less than 16 characters"),
        (f"admin:predict:{READER}", "key 1: it has the name or the secret of another"),
        (f"page:predict:{READER} other:predict:{READER}", "key 2: it has the name or the secret of another"),
        (f"page:predict:{OPERATOR}", "key 1: it has the name or the secret of another"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_without_its_secret(further: str, said: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^HEARTH_API_KEYS") as caught:
        Keys.parse(OPERATOR, further)

    assert said in str(caught.value)
    assert not any(secret in str(caught.value) for secret in (OPERATOR, READER, "short"))


def test_an_admin_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="HEARTH_API_ADMIN_KEY"):
        Keys.parse("", "")


def test_a_key_is_for_its_scopes_only() -> None:
    key = Keys.parse(OPERATOR, f"page:predict:{READER}").find(READER)

    assert require(key, PREDICT) is key
    with pytest.raises(MissingScope, match="'page' does not have the scope 'admin'"):
        require(key, ADMIN)
    with pytest.raises(InvalidKey, match="needs an API key with the scope 'admin'"):
        require(None, ADMIN)
    assert require(key, PREDICT, READ) is key
    with pytest.raises(MissingScope, match="'page' does not have the scope 'read'"):
        require(key, READ)


def test_a_key_that_is_printed_shows_neither_secret_nor_digest() -> None:
    key = Keys.parse(OPERATOR, "").find(OPERATOR)

    assert OPERATOR not in repr(key)
    assert repr(key.digest) not in repr(key)
