"""Envelope addresses: good ones pass unchanged, and nothing can reach the SMTP command line beside them."""

import re

import pytest
from calls import MAIL, post
from hypothesis import given
from hypothesis import strategies as st
from smtp_server import SmtpServer

from mailserver_api.addresses import AddressError, parse_address

GOOD = [
    "a@b.example",
    "first.last+tag@sub.here.example",
    "a..b.@docomo.example",
    "bounces+1234-abcd-name=long.example.com@em.sender.example",
    "=?strange?=@x.example",
    '"quoted.\\"local"@x.example',
    "a@[192.0.2.1]",
    "a@[IPv6:2001:db8::1]",
    "a@under_score.example",
    "x" * 64 + "@" + "d" * 63 + ".example",
    '"john smith"@x.example',
    '"a \\" b"@c.example',
]
NORMALIZED = {
    "b@bücher.example": "b@xn--bcher-kva.example",
    "B@BÜCHER.Example": "B@xn--bcher-kva.example",
    "<b@例え.example>": "b@xn--r8jz45g.example",
    "a@x.example.": "a@x.example",
}
BAD = [
    "",
    "a",
    "@b.example",
    "a@",
    "a@b@c.example",
    "a b@c.example",
    "a@b c.example",
    "a,b@c.example",
    "a@b.example, c@d.example",
    "a@b.example>",
    "<a@b.example",
    "<<a@b.example>>",
    "a@b.example> SIZE=1",
    '"a"b"@c.example',
    "名前@here.example",
    "a@ñ-.example",
    "a@\u2028.example",
    "a@b.example..",
    '"a>b"@c.example',
    '"a\\>b"@c.example',
    "a@b.example\r\nRCPT TO:<evil@x.example>",
    "a@b.example\n",
    "a\0@b.example",
    "a\x7f@b.example",
    "a\x85@b.example",
    "a\u2028@b.example",
    "a\u202e@b.example",
    "a\u00a0b@c.example",
    "a@-b.example",
    "a@b-.example",
    "a@b..example",
    "a@[192.0.2.999]",
    "a@[2001:db8::1]",
    "a@[IPv6:fe80::1%eth0]",
    "a@[192.0.2.1",
    "x" * 65 + "@b.example",
    "x@" + "d" * 64 + ".example",
    "x@" + ".".join(["d" * 60] * 5),
]


@pytest.mark.parametrize("address", GOOD)
def test_a_good_address_passes_unchanged(address):
    assert parse_address(address) == address
    assert parse_address(f"<{address}>") == address


@pytest.mark.parametrize("text", NORMALIZED, ids=ascii)
def test_a_domain_is_written_in_one_way(text):
    assert parse_address(text) == NORMALIZED[text]


@pytest.mark.parametrize("address", BAD, ids=ascii)
def test_a_bad_address_is_refused(address):
    with pytest.raises(AddressError):
        parse_address(address)


@given(st.text() | st.from_regex(r"\A<?[ -~\r\n\t]{0,20}@[ -~\r\n]{0,20}>?\Z"))
def test_whatever_passes_fits_between_angle_brackets_on_one_line(text):
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert re.fullmatch(r'("[ -~]*"|[!-~]+)@[!-~]+', address) and not set(address) & set("<>")
    assert len(address.encode()) <= 254


@given(
    st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([a-z0-9]{1,20}\.){1,3}[a-z]{2,10}", fullmatch=True)
)
def test_ordinary_addresses_pass(address):
    assert parse_address(address) == address


@pytest.mark.parametrize("sender", ["", "<>"])
async def test_the_null_sender_is_passed_on(api, smtp: SmtpServer, sender):
    assert (await post(api, sender=sender)).status_code == 200
    assert smtp.delivered[0].mail.startswith("FROM:<> ")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("root", ""),
        ("undefined behaviour", ""),
        ("名前@sender.example", ""),
        ("a@b@c.example", ""),
        ("a@x.example.", "a@x.example"),
        ('"john smith"@x.example', '"john smith"@x.example'),
        ("b@bücher.example", "b@xn--bcher-kva.example"),
        (b"\xff@sender.example", ""),
        ("-a@x.example", ""),
        ("a@192.0.2.1", ""),
        ("a-@1x.example", "a-@1x.example"),
    ],
    ids=ascii,
)
async def test_mail_of_an_odd_sender_is_taken(api, smtp: SmtpServer, given, sent):
    given = given.encode() if isinstance(given, str) else given
    assert (await post(api, sender=given)).status_code == 200
    assert smtp.delivered[0].mail.startswith(f"FROM:<{sent}> ")


@pytest.mark.parametrize("to", ["", "<>", "a@x.example b@x.example", "a", "undefined", b"\xff@x.example"])
async def test_anything_but_one_recipient_is_malformed_with_field_value_and_fix(api, smtp: SmtpServer, to):
    response = await post(api, to=to)
    body = response.json()
    assert (response.status_code, body["field"], smtp.connections) == (400, "X-Envelope-To", 0)
    assert body["fix"] and (isinstance(to, bytes) or body["value"] == to)


@pytest.mark.parametrize(
    "to", ["名前@here.example", "x" * 65 + "@here.example", "a@-x.example", "a,b@here.example"]
)
async def test_a_recipient_that_no_mailbox_can_have_is_unknown(api, smtp: SmtpServer, to):
    response = await post(api, to=to.encode())
    assert (response.status_code, smtp.connections) == (404, 0)


@pytest.mark.parametrize("field", ["X-Envelope-From", "X-Envelope-To"])
@pytest.mark.parametrize("times", [0, 2])
async def test_a_header_that_is_missing_or_doubled_is_refused(api, field, times):
    good = {"X-Envelope-From": "a@b.example", "X-Envelope-To": "c@d.example"}
    headers = [(name, value) for name, value in good.items() if name != field]
    headers += [(field, good[field])] * times
    response = await api.post("/v1/messages", content=MAIL, headers=headers)
    assert (response.status_code, response.json()["field"]) == (400, field)


async def test_a_long_bounce_address_is_accepted_as_sender_but_not_as_recipient(api):
    address = "b" * 100 + "@sender.example"
    assert (await post(api, sender=address)).status_code == 200
    assert (await post(api, to=address)).status_code == 404


async def test_a_domain_in_unicode_and_in_ascii_is_the_same_recipient(api, smtp: SmtpServer):
    first = await post(api, to="b@bücher.example".encode())
    second = await post(api, to="b@xn--bcher-kva.example")
    assert [first.status_code, second.status_code, second.json()["duplicate"]] == [200, 200, True]
    assert smtp.delivered[0].rcpt == "TO:<b@xn--bcher-kva.example>"
