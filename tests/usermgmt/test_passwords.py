"""Passwords: accepted, hashed, generated, never repeated."""

from __future__ import annotations

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usermgmt.passwords import Hasher, check_password, generate_password
from usermgmt.problems import Refused


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("", "too short"),
        ("elevenchars", "too short"),
        ("x1y2z" * 15, "too long"),
        ("日本語" * 9, "too long"),
        ("tab\tinside-a-password", "invisible"),
        ("line\nend-in-password", "invisible"),
        ("nul\0in-a-password", "invisible"),
        ("anna@example.org", "is the address"),
        ("aaaaaaaaaaaaaa", "repeats"),
        ("abababababab", "repeats"),
    ],
)
def test_an_unfit_password_is_refused_without_repeating_it(password: str, wrong: str) -> None:
    with pytest.raises(Refused, match=wrong) as refusal:
        check_password(password, "anna@example.org")
    assert refusal.value.problems[0].value == ""
    assert not password or password not in str(refusal.value)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "tall oak, cold brook, slow goose, red kite and nine lanterns upstream 47",
        "пароль-из-слов",
        "twelve-chars",
    ],
)
def test_a_fit_password_is_accepted_as_it_is(password: str) -> None:
    assert check_password(password, "anna@example.org") == password


def test_a_mailbox_hash_names_the_scheme_dovecot_reads(hasher: Hasher) -> None:
    assert hasher.hash_for_mailbox("correct horse battery").startswith("{ARGON2ID}$argon2id$v=19$")


def test_the_cost_is_what_owasp_asks_for_unless_a_test_lowers_it() -> None:
    assert "$m=19456,t=2,p=1$" in Hasher().hash("correct horse battery")


@pytest.mark.parametrize("scheme", ["", "{BLF-CRYPT}"], ids=["admin", "mailbox"])
def test_a_hash_of_an_older_version_still_works_and_is_known_as_outdated(hasher: Hasher, scheme: str) -> None:
    older = scheme + bcrypt.hashpw(b"correct horse battery", bcrypt.gensalt(4)).decode()
    assert hasher.matches("correct horse battery", older) and hasher.is_outdated(older)
    assert not hasher.matches("correct horse batterz", older)
    assert not hasher.is_outdated(hasher.hash("correct horse battery"))
    assert Hasher().is_outdated(hasher.hash_for_mailbox("correct horse battery"))


def test_only_the_right_password_matches(hasher: Hasher) -> None:
    stored = hasher.hash("correct horse battery")
    assert hasher.matches("correct horse battery", stored)
    assert not hasher.matches("correct horse batterz", stored)
    assert not hasher.matches("", stored)


def test_nothing_matches_where_nothing_is_stored(hasher: Hasher) -> None:
    assert not hasher.matches("anything at all", None)


def test_a_password_is_not_cut_at_72_bytes(hasher: Hasher) -> None:
    longest = "x1y2z3" * 12
    older = bcrypt.hashpw(longest.encode(), bcrypt.gensalt(4)).decode()
    assert hasher.matches(longest, older) and not hasher.matches(longest + "tail", older)


@settings(deadline=None)  # a hash takes as long as the machine wants
@given(st.text(max_size=200))
def test_any_text_can_be_tried_as_a_password(text: str) -> None:
    assert Hasher(cheap=True).matches(text, None) is False


def test_generated_passwords_are_fit_long_and_different() -> None:
    made = {generate_password() for _ in range(200)}
    assert len(made) == 200
    assert all(check_password(password, "a@example.org") and len(password) == 23 for password in made)
    assert not set("0O1lIB5S") & set("".join(made))
