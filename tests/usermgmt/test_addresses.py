"""What is accepted as a domain or an address, and how a refusal reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usermgmt.addresses import (
    OWN_LOCAL_PART,
    domain_of,
    parse_address,
    parse_alias_source,
    parse_destinations,
    parse_domain,
    parse_own_address,
    readable_domain,
)
from usermgmt.problems import Refused


@pytest.mark.parametrize(
    ("entered", "stored"),
    [
        ("example.org", "example.org"),
        ("  EXAMPLE.org ", "example.org"),
        ("example.org.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("日本語.jp", "xn--wgv71a119e.jp"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("mail.test", "mail.test"),
        ("home.local", "home.local"),
        ("a." + "b" * 63 + ".org", "a." + "b" * 63 + ".org"),
    ],
)
def test_a_domain_is_stored_in_one_form(entered: str, stored: str) -> None:
    assert parse_domain(entered) == stored


@pytest.mark.parametrize(
    "entered",
    [
        "",
        "nodots",
        "localhost",
        "mail.localhost",
        "example..org",
        "example.org..",
        ".example.org",
        "-a.example.org",
        "a-.example.org",
        "exa mple.org",
        "exa_mple.org",
        "example.org/x",
        "192.0.2.1",
        "[192.0.2.1]",
        "b" * 64 + ".org",
        ".".join(["abcdefghi"] * 30),
        "example.org\nexample.com",
        "xn--a.example",
        "service.onion",
        "1.0.0.127.in-addr.arpa",
        "example.org'--",
    ],
)
def test_what_is_not_a_domain_is_refused_with_an_example(entered: str) -> None:
    with pytest.raises(Refused, match=r"not a domain name.*example\.org") as refusal:
        parse_domain(entered)
    assert refusal.value.problems[0].value == entered


def test_an_address_instead_of_a_domain_gets_its_own_advice() -> None:
    with pytest.raises(Refused, match=r"address, not a domain.*what follows the @"):
        parse_domain("anna@example.org")


@pytest.mark.parametrize(
    ("entered", "stored"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        (" anna.b-c_d@example.org ", "anna.b-c_d@example.org"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("0@example.org", "0@example.org"),
    ],
)
def test_an_own_address_is_stored_in_one_form(entered: str, stored: str) -> None:
    assert parse_own_address(entered, "email") == stored


@pytest.mark.parametrize(
    ("entered", "advice"),
    [
        ("anna", "name@example.org"),
        ("anna@", "name@example.org"),
        ("@example.org", "name@example.org"),
        ("a b@example.org", "name@example.org"),
        ("jörg@example.org", "without accents"),
        ('"a b"@example.org', "name@example.org"),
        ("a..b@example.org", "name@example.org"),
        (".a@example.org", "name@example.org"),
        ("a" * 65 + "@example.org", "name@example.org"),
        ("anna@localhost", "name@example.org"),
        ("anna@[192.0.2.1]", "name@example.org"),
        ("anna+tag@example.org", "without +"),
        ("anna'@example.org", "beginning with a letter or digit"),
        ("_anna@example.org", "beginning with a letter or digit"),
        ("-anna@example.org", "without a hyphen at its start"),
        ("a/b@example.org", "without ! % | /"),
        ("a%b@example.org", "without ! % | /"),
        ("x!y@example.org", "without ! % | /"),
        ("a|b@example.org", "without ! % | /"),
        ("a=b@example.org", "beginning with a letter or digit"),
        ("Mailctl-Probe@example.org", "another address"),
    ],
)
def test_an_address_that_cannot_be_a_mailbox_is_refused_with_advice(entered: str, advice: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_own_address(entered, "email")
    (problem,) = refusal.value.problems
    assert (problem.field, problem.value) == ("email", entered)
    assert advice in problem.instead


def test_a_destination_may_have_a_tag() -> None:
    assert parse_address("Anna+Lists@example.org", "destinations") == "anna+lists@example.org"


def test_a_catch_all_source_is_an_at_sign_and_a_domain() -> None:
    assert parse_alias_source("@Bücher.example") == "@xn--bcher-kva.example"


@pytest.mark.parametrize("entered", ["@", "@@example.org", "@nodots", "*@example.org"])
def test_what_only_looks_like_a_catch_all_is_refused(entered: str) -> None:
    with pytest.raises(Refused):
        parse_alias_source(entered)


def test_destinations_are_separated_by_anything_people_type_and_kept_once() -> None:
    entered = "b@example.org, A@example.org;c@example.org\r\na@example.org\n"
    assert parse_destinations(entered) == ["b@example.org", "a@example.org", "c@example.org"]


def test_every_wrong_destination_is_named() -> None:
    with pytest.raises(Refused) as refusal:
        parse_destinations("x@@y good@example.org nothing")
    assert [problem.value for problem in refusal.value.problems] == ["x@@y", "nothing"]


def test_no_destination_is_refused() -> None:
    with pytest.raises(Refused, match="no destination"):
        parse_destinations(" ,\n")


def test_an_a_label_is_shown_as_people_write_it() -> None:
    assert readable_domain("xn--bcher-kva.example") == "bücher.example"
    assert readable_domain("xn--.example") == "xn--.example"


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused_but_never_breaks(text: str) -> None:
    for parse in (parse_domain, parse_alias_source, lambda value: parse_own_address(value, "email")):
        try:
            stored = parse(text)
        except Refused as refusal:
            assert str(refusal)
            continue
        assert stored == stored.lower() and stored.isascii() and parse(stored) == stored


@given(
    st.from_regex(OWN_LOCAL_PART, fullmatch=True).filter(lambda local: ".." not in local and len(local) < 65),
    st.from_regex(r"[a-z]([a-z0-9]{0,20}[a-z0-9])?\.(org|example|co\.jp)", fullmatch=True),
)
def test_every_plain_address_is_accepted_in_any_case(local: str, domain: str) -> None:
    stored = parse_own_address(f"{local}@{domain}".upper(), "email")
    assert stored == f"{local}@{domain}" and domain_of(stored) == domain
