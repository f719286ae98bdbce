"""The overview: mail counts once, the host's report is for whom it concerns, pictures have numbers."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select, update
from support import ACCOUNT_SITE, Browser, Directory, give_domains
from test_api import Program, token
from test_mail_reports import report

from usermgmt import cli, cli_database
from usermgmt.database import Database
from usermgmt.mail.usage import Usage
from usermgmt.models import HostNews, Mailbox, MailCount, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import admins, host_news, mail_counts, mail_reports, overview
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.mail_counts import DAY, KINDS, MONTH

ANNA, BERT, FAR = "anna@own.example", "bert@own.example", "carl@foreign.example"
ADMIN, PASSWORD = "dora@elsewhere.example", "correct horse battery"
MIB = 1024**2
NEWS: dict[str, Any] = {
    "incidents": [
        {
            "id": "late-backup",
            "severity": "warning",
            "title": "A backup, copy or drill is late",
            "text": "the last good backup was 2 d ago",
            "fix": "make backup",
            "since": time.time() - 7200,
        },
        {
            "id": "deferred",
            "severity": "critical",
            "title": "Mail is not delivered",
            "text": "4 mails wait: host <b>relay.example</b> said no",
            "fix": "make queue",
            "since": time.time() - 3600,
        },
    ],
    "services": 11,
    "healthy": 10,
    "queue": {"waiting": 4, "deferred": 3, "held": 1, "oldest_at": time.time() - 600},
    "jobs": [{"what": "backup", "at": time.time() - 90000, "late": True, "failed": False}],
    "probe": {"at": time.time() - 60, "ok": True, "seconds": 12.4},
    "certificate_days": 700,
    "disks": [{"name": "ssd", "percent": 41, "free_bytes": 5 * 1024**3}],
    "deliveries": [{"day": f"{utc_now():%Y-%m-%d}", "seconds": [90, 7, 2, 1, 0], "deferred": 3}],
    "usage": {ANNA: 12 * MIB, BERT: MIB, FAR: 11 * MIB, "gone@own.example": 1},
}


@pytest.fixture
def filled(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """Two domains with their people, and an admin of the first."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        directory = Directory(session, COMMAND_LINE, hasher)
        for domain in ("own.example", "foreign.example"):
            directory.domain(domain)
        for address in (ANNA, BERT, FAR):
            directory.mailbox(address, "10M", PASSWORD)
        admins.add_admin(session, COMMAND_LINE, hasher, ADMIN, PASSWORD)
        give_domains(session, ADMIN, ["own.example"])
    return web_database


def tell(database: Database, **changes: Any) -> None:
    """What the host reports."""
    with database.transaction() as session:
        host_news.keep(session, json.dumps(NEWS | changes))


def page_of(app: Flask, email: str, path: str = "/", **site: str) -> str:
    """A page as somebody sees it."""
    browser = Browser(app, *site.values())
    assert browser.log_in(email, PASSWORD).status_code == 303
    return browser.get(path).text


def count(database: Database, *entries: dict[str, Any]) -> None:
    """What rspamd reports."""
    with database.transaction() as session:
        mail_reports.take_all(session, list(entries))


def counted(database: Database, period: str = DAY) -> dict[str, dict[str, int]]:
    """What is not zero, by domain."""
    with database.transaction() as session:
        rows = session.scalars(select(MailCount).where(MailCount.period == period))
        names = {1: "own", 2: "foreign"}
        return {
            names[row.domain_id]: {kind: getattr(row, kind) for kind in KINDS if getattr(row, kind)}
            for row in rows
        }


def test_each_mail_counts_once_for_each_domain_and_direction(filled: Database) -> None:
    inbound = report(1, action="no action", recipients=[ANNA, BERT])
    count(filled, inbound, report(2, recipients=[ANNA]), report(3, action="reject", recipients=[ANNA, FAR]))
    count(filled, inbound, report(4, action="soft reject", recipients=[FAR]))
    count(filled, report(5, action="no action", user=ANNA, recipients=[BERT, "x@outside.example"]))
    own = {"received": 2, "sent": 1, "junk": 1, "refused": 1}
    assert counted(filled) == counted(filled, MONTH) == {"own": own, "foreign": {"refused": 1, "deferred": 1}}


def test_days_and_months_that_are_over_are_forgotten_and_those_without_mail_are_shown(
    filled: Database,
) -> None:
    kept = mail_counts.periods(utc_now().date())
    with filled.transaction() as session:
        mail_counts.count(session, [(1, day, "sent") for day in (*kept[DAY], *kept[MONTH])])
        before = [
            (1, kept[DAY][0] - timedelta(days=1), "sent"),
            (1, kept[MONTH][0] - timedelta(days=1), "sent"),
        ]
        mail_counts.count(session, before)
        periods = [*session.scalars(select(MailCount.period))]
        session.execute(update(MailCount).values(sent=0))
        found = mail_counts.history(session, None)
    assert (periods.count(DAY), periods.count(MONTH)) == (14, 13)
    assert [each.starts for each in found[DAY]] == kept[DAY] and [each.total for each in found[MONTH]] == [
        0
    ] * 13


def test_what_is_wrong_stands_first_the_worst_on_top_with_what_helps(
    filled: Database, browser: Browser
) -> None:
    tell(filled)
    page = browser.get("/").text
    places = [
        page.index(text)
        for text in ("Mail is not delivered", "A backup, copy", "Mailboxes that are full", "<svg")
    ]
    assert places == sorted(places)
    assert "host &lt;b&gt;relay.example" in page and '<code class="copy">make queue</code>' in page
    assert "10 of 11 are healthy" in page and "waiting: 4" in page and "41 % used" in page
    assert "take no more mail: 2" in page and page.count('"usage full"') == 3


def test_an_admin_of_a_domain_sees_its_figures_and_of_the_server_only_what_stops_mail(
    app: Flask, filled: Database
) -> None:
    tell(filled)
    count(filled, report(1, recipients=[FAR]), report(2, recipients=[ANNA]))
    page = page_of(app, ADMIN)
    assert "Mail is not delivered" in page and "take no more mail: 1" in page
    for hidden in (
        "foreign.example",
        "relay.example",
        "make queue",
        "A backup",
        "41 %",
        "How long deliveries",
    ):
        assert hidden not in page, hidden
    assert "<span>Junk</span> <strong>1</strong>" in page


@pytest.mark.parametrize("email", ["", ADMIN])
def test_a_host_that_went_silent_is_said_first_and_nothing_of_its_old_report_is(
    app: Flask, filled: Database, browser: Browser, email: str
) -> None:
    tell(filled)
    with filled.transaction() as session:
        session.execute(update(HostNews).values(at=utc_now() - timedelta(minutes=16)))
    page = page_of(app, email) if email else browser.get("/").text
    assert "There is no news from the server since:" in page and "16 minutes ago" in page
    assert "Mail is not delivered" not in page and "are healthy" not in page


def test_before_the_first_report_the_page_says_who_reports(filled: Database, browser: Browser) -> None:
    page = browser.get("/").text
    assert "make setup-host" in page and "Nothing needs attention" not in page and "no news" not in page
    tell(filled, incidents=[], usage={})
    assert "Nothing needs attention" in browser.get("/").text


def test_a_picture_is_plain_svg_with_the_same_numbers_as_a_table(filled: Database, browser: Browser) -> None:
    tell(filled)
    count(filled, *(report(number, action="no action", recipients=[ANNA]) for number in range(1, 8)))
    page = browser.get("/").text
    pictures = [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page)]  # noqa: S314
    assert [one.findtext("{*}title") for one in pictures] == [
        "Mail of the last 14 days",
        "Mail of the last 13 months",
        "How long deliveries took",
    ]
    for one in pictures:
        assert {element.tag.rpartition("}")[2] for element in one.iter()} <= {
            "svg",
            "title",
            "g",
            "rect",
            "path",
            "text",
        }
        assert not any("style" in element.attrib or "id" in element.attrib for element in one.iter())
    heights = [float(rect.get("height", "")) for rect in pictures[2].findall(".//{*}rect")]
    assert len(heights) == 5 and heights[0] == max(heights)
    [today] = re.findall(rf'<tr><th scope="row">[^<]*{utc_now():%b} {utc_now().day}</th>(.*?)</tr>', page)[:1]
    assert re.findall("<td>(.*?)</td>", today) == ["7", "0", "0", "0", "0"]


def test_people_see_how_full_their_own_mailbox_is_and_their_own_mail(
    app: Flask, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(filled)
    both = report(1, action="no action", recipients=[ANNA, BERT])
    count(
        filled,
        both,
        report(2, recipients=[BERT]),
        report(3, action="no action", user=ANNA, recipients=[BERT, FAR]),
    )
    page = page_of(app, ANNA, "/account", host=ACCOUNT_SITE)
    assert "12M of 10M" in page and "takes no more mail" in page and "foreign" not in page
    assert re.findall(r"<span>(\w+)</span> <strong>(\d+)</strong>", page) == [
        ("Received", "1"),
        ("Sent", "1"),
    ]
    monkeypatch.setattr(Usage, "of", lambda _, emails: dict.fromkeys(emails, MIB))
    assert "1M of 10M" in page_of(app, ANNA, "/account", host=ACCOUNT_SITE)


def test_the_api_gives_a_token_of_a_domain_its_figures_and_no_server(app: Flask, filled: Database) -> None:
    tell(filled)
    count(filled, report(1, recipients=[FAR]), report(2, recipients=[ANNA]))
    whole, own = (
        Program(app, token(filled, ("overview:read", "mailbox:read"), **of))
        for of in ({}, {"domain": "own.example"})
    )
    everything, part = whole("GET", "/overview").json, own("GET", "/overview").json
    assert everything["server"]["queue"]["waiting"] == 4 and part["server"] is None
    assert (everything["days"][-1]["counts"]["junk"], part["days"][-1]["counts"]["junk"]) == (2, 1)
    assert [row["name"] for row in part["fullest"]] == [ANNA, BERT] and part["full"] == 1
    assert own("GET", "/mailboxes/1/usage").json == {"used_bytes": 12 * MIB, "quota_bytes": 10 * MIB}
    assert own("GET", "/mailboxes/3/usage").status_code == 404
    assert Program(app, token(filled, ("mail:read",)))("GET", "/overview").status_code == 403


@pytest.mark.parametrize(
    "said", ["", "{", "[]", json.dumps(NEWS | {"queue": {"waiting": "many"}}), '{"incidents": 1}']
)
def test_what_is_no_report_is_refused_and_the_last_one_stays(
    filled: Database, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(cli_database, "open_database", lambda: filled)
    run = CliRunner().invoke
    assert run(cli.cli, ["host-news"], input=json.dumps({**NEWS, "new": 1})).exit_code == 0
    refused = run(cli.cli, ["host-news"], input=said)
    assert refused.exit_code == 1 and "This is not the report of a monitor" in refused.output
    with filled.transaction() as session:
        kept = host_news.latest(session)
        assert kept and kept.document["healthy"] == 10 and "new" not in kept.document


def test_a_later_measurement_takes_the_place_of_the_last_one(filled: Database) -> None:
    tell(filled)
    tell(filled, usage={ANNA: 5 * MIB})
    tell(filled, usage={})
    with filled.transaction() as session:
        used = {box.email: overview.usage_of(session, box) for box in session.scalars(select(Mailbox))}
    assert used == {ANNA: 5 * MIB, BERT: None, FAR: None}


def test_each_of_several_hosts_measures_its_own_mailboxes_and_leaves_those_of_others(
    filled: Database,
) -> None:
    with filled.transaction() as session:
        for box in session.scalars(select(Mailbox)):
            box.shard = "b" if box.email == BERT else "a"
    tell(filled, usage={ANNA: 5 * MIB, FAR: MIB}, shard="a")
    tell(filled, usage={BERT: 2 * MIB}, shard="b", whole=False)
    tell(filled, usage={ANNA: 6 * MIB}, shard="a", whole=False)
    with filled.transaction() as session:
        used = {box.email: overview.usage_of(session, box) for box in session.scalars(select(Mailbox))}
    assert used == {ANNA: 6 * MIB, BERT: 2 * MIB, FAR: None}
