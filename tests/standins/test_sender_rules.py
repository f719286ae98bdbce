"""Allowed and blocked senders in a real rspamd with the operator's own rule files, while usermgmt is down.

It has the lists of a run before this one, DNS of its own, and no virus scanner: so what is not refused is
deferred.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.places import REPOSITORY
from tests.standins.hardened import Container
from tests.standins.test_rspamd import own_probe

RULES = REPOSITORY / "config/rspamd"
# What rspamd's own rules say of a mail depends on the network; it is far from these limits.
LIMITS = "reject = 60;\nadd_header = 30;\nrewrite_subject = null;\ngreylist = null;\n"
SPAMMY = """rspamd_config.SPAMMY = {
  score = 100, callback = function(task) return task:has_header("X-Spammy") end
}
rspamd_config.POINTS = {
  score = 1, callback = function(task)
    return task:has_header("X-Points"), tonumber(task:get_header("X-Points"))
  end
}
"""
# Nobody else is asked for long.
DNS = """dns { timeout = 0.1s; retransmits = 1; fake_records = [
  { name = "shop.example"; type = txt; replies = ["v=spf1 ip4:192.0.2.1 -all"]; },
  { name = "_dmarc.shop.example"; type = txt; replies = ["v=DMARC1; p=none"]; },
  { name = "plain.example"; type = txt; replies = ["v=spf1 ip4:192.0.2.1 -all"]; },
] }
"""
LISTS = {
    "server": {"*.bad.example": "block", "plain.example": "allow", "shop.example": "block"},
    "domains": {"example.org": {"shop.example": "allow", "ads@shop.example": "block"}},
    "people": {"7": {"boss@shop.example": "block", "ads@shop.example": "allow"}},
    "addresses": {
        "anna@example.org": "7",
        "@example.org": "7",
        "bert@example.org": "",
        "dora@example.org": "8",
    },
    "junk": {"7": 45, "8": 15},
}
ANNA, BERT, CAUGHT, OTHER = "anna+x@example.org", "Bert@example.org", "new@example.org", "z@other.example"
ALLOWED, BLOCKED, FORGED = "SENDER_ALLOWED", "SENDER_BLOCKED", "SENDER_NOT_PROVEN"
THEIRS, ANOTHER = "192.0.2.1", "192.0.2.9"
SPAM = ("X-Spammy: yes",)
DORA = "dora@example.org"
DANGEROUS = (
    *SPAM,
    "MIME-Version: 1.0",
    "Content-Type: application/octet-stream",
    'Content-Disposition: attachment; filename="bill.pdf.exe"',
)
Scan = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def scan(start: Callable[..., Container], folder: Path) -> Scan:
    """Says what rspamd makes of a mail."""
    (folder / "sender-rules.json").write_text(json.dumps(LISTS) + "\n")
    (folder / "options.inc").write_text(DNS)
    (folder / "actions.conf").write_text(LIMITS)
    (folder / "spammy.lua").write_text(SPAMMY)
    places = {folder / name: f"/etc/rspamd/local.d/{name}" for name in ("options.inc", "actions.conf")}
    places[folder / "sender-rules.json"] = "/var/lib/rspamd/sender-rules.json"
    for name in ("usermgmt.lua", "sender_rules.lua", "refusal_reason.lua"):
        places[RULES / "lua.local.d" / name] = f"/etc/rspamd/lua.local.d/{name}"
    places[folder / "spammy.lua"] = "/etc/rspamd/lua.local.d/spammy.lua"
    places[RULES / "rspamd.local.lua"] = "/etc/rspamd/rspamd.local.lua"
    mounts = (f"--volume={path}:{place}:ro" for path, place in places.items())
    container = start(
        "rspamd", "--user=11333:11333", "--tmpfs=/tmp", "--tmpfs=/var/lib/rspamd:mode=1777", *mounts
    )
    container.wait_healthy("sh", "-c", own_probe(container))

    def scanned(
        sender: str, *to: str, ip: str = THEIRS, envelope: str = "", fields: tuple[str, ...] = ()
    ) -> Any:
        words = ["rspamc", "--json", "-h", "127.0.0.1:11333", "-i", ip, "--from", envelope or sender]
        words += [word for each in to for word in ("--rcpt", each)]
        mail = "\n".join((f"From: <{sender}>", "Subject: hello", *fields, "", "hello", ""))
        return json.loads(container.execute(*words, "symbols", stdin=mail).stdout)

    return scanned


@pytest.mark.parametrize(
    ("sender", "to", "symbol", "action"),
    [
        pytest.param("a@shop.example", [OTHER], BLOCKED, "reject", id="the server blocks"),
        pytest.param("a@x.bad.example", [OTHER], BLOCKED, "reject", id="a domain below one that is blocked"),
        pytest.param("a@shop.example", [BERT], ALLOWED, "soft reject", id="the domain before the server"),
        pytest.param("ads@shop.example", [BERT], BLOCKED, "reject", id="an address before its domain"),
        pytest.param("ads@shop.example", [ANNA], ALLOWED, "soft reject", id="a person before the domain"),
        pytest.param("ads@shop.example", [CAUGHT], ALLOWED, "soft reject", id="what a catch-all takes"),
        pytest.param("boss@shop.example", [ANNA], BLOCKED, "soft reject", id="a person junks"),
        pytest.param("boss@shop.example", [ANNA, BERT], "", "soft reject", id="not for whom it is allowed"),
        pytest.param("boss@shop.example", [ANNA, OTHER], BLOCKED, "soft reject", id="one junks, one refuses"),
        pytest.param("a@shop.example", [BERT, OTHER], "", "soft reject", id="one allows, one refuses"),
        pytest.param("a@plain.example", [OTHER], ALLOWED, "soft reject", id="SPF without DMARC proves"),
        pytest.param("a@else.example", [OTHER], "", "soft reject", id="in no list"),
    ],
)
def test_the_nearest_list_and_the_narrowest_entry_decide(
    scan: Scan, sender: str, to: list[str], symbol: str, action: str
) -> None:
    found = scan(sender, *to)
    said = [name for name in found["symbols"] if name in (ALLOWED, BLOCKED, FORGED)]
    assert (said, found["action"]) == ([symbol] if symbol else [], action)
    if action == "reject":
        assert found["messages"]["smtp_message"].startswith("This server takes no mail from you: ")
    elif symbol == BLOCKED:
        assert found["score"] == pytest.approx(30), "junk"
    else:
        assert found["score"] < 30


def test_spam_of_an_allowed_sender_is_no_longer_refused_and_still_needs_a_virus_scan(scan: Scan) -> None:
    assert scan("a@else.example", OTHER, fields=SPAM)["action"] == "reject"
    found = scan("a@shop.example", BERT, fields=SPAM)
    assert found["score"] == pytest.approx(29) and found["symbols"][ALLOWED]["score"] < -60
    assert "virus scanner does not answer" in found["messages"]["smtp_message"]


@pytest.mark.parametrize("sender", ["a@shop.example", "a@plain.example"])
def test_spam_that_pretends_to_be_of_an_allowed_sender_is_refused(scan: Scan, sender: str) -> None:
    to = BERT if sender == "a@shop.example" else OTHER
    for how in ({"ip": ANOTHER}, {"envelope": "a@else.example"}):
        found = scan(sender, to, fields=SPAM, **how)
        assert found["action"] == "reject" and FORGED in found["symbols"], how


def test_an_allowed_sender_may_not_send_what_is_dangerous(scan: Scan) -> None:
    found = scan("a@shop.example", BERT, fields=DANGEROUS)
    assert found["action"] == "reject" and ALLOWED not in found["symbols"]


def test_an_envelope_is_blocked_and_never_allowed(scan: Scan) -> None:
    assert scan("a@else.example", OTHER, envelope="a@x.bad.example")["action"] == "reject"
    assert ALLOWED not in scan("a@else.example", BERT, envelope="a@shop.example")["symbols"]


@pytest.mark.parametrize(
    ("to", "points", "junk"),
    [
        pytest.param([BERT], 20, False, id="the server's limit"),
        pytest.param([DORA], 20, True, id="a lower one of her own"),
        pytest.param([DORA, BERT], 20, False, id="the highest of all recipients"),
        pytest.param([ANNA], 35, False, id="a higher one of her own"),
        pytest.param([ANNA, DORA], 35, False, id="the highest, whoever has it"),
        pytest.param([BERT], 35, True, id="above the server's"),
    ],
)
def test_a_person_has_a_limit_of_their_own_for_junk(
    scan: Scan, to: list[str], points: int, junk: bool
) -> None:
    others = scan("a@else.example", OTHER)["score"]
    found = scan("a@else.example", *to, fields=(f"X-Points: {points - others:.1f}",))
    assert (found["score"] >= 30) is junk, found["symbols"]
    assert ("PERSONAL_LIMIT" in found["symbols"]) is (to in ([DORA], [ANNA], [ANNA, DORA]))


def test_no_limit_of_a_person_takes_in_what_the_server_refuses(scan: Scan) -> None:
    assert scan("a@else.example", ANNA, fields=SPAM)["action"] == "reject"
