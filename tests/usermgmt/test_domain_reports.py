"""What other servers report about our domains: read from what anybody may send, counted, put in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import report_samples as samples
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from report_samples import dmarc, gzipped, mail, record, tls, zipped
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from support import PROXY, Browser, Directory, Server
from test_api import Program, token

from usermgmt.database import Database
from usermgmt.feedback import reader
from usermgmt.models import DomainReport, DomainReportRow, utc_now
from usermgmt.services import domain_reports, domains
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

FILTER = "192.0.2.2"
COUNTED, NONE = 201, 200


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a filter whose address is known."""
    return replace(settings, filter_host=FILTER)


@pytest.fixture
def domain(app: Flask, web_database: Database, hasher: object) -> Database:
    """The database with example.org."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).domain("example.org")
    return web_database


def send(
    app: Flask, content: bytes, peer: str = FILTER, reporter: str = "reporter.example", **headers: str
) -> int:
    """A mail as rspamd hands it over; the status of the answer."""
    answer = app.test_client().post(
        f"/internal/domain-reports?reporter={reporter}",
        data=content,
        headers={"Host": "127.0.0.1", **headers},
        environ_overrides={"REMOTE_ADDR": peer},
    )
    return answer.status_code


def counted(database: Database) -> list[tuple[str, str, str, int]]:
    """Source, verdict, other domain and number of everything that is kept."""
    columns = (DomainReportRow.source, DomainReportRow.verdict, DomainReportRow.about, DomainReportRow.count)
    with database.transaction() as session:
        return sorted(tuple(row) for row in session.execute(select(*columns)))


def keep(database: Database, report: str, reporter: str = "reporter.example") -> None:
    """Count a report, read in this process."""
    with database.transaction() as session:
        domain_reports.take(session, reporter, reader.read_here(mail(report.encode(), "r.xml")))


def page(app: Flask, language: str = "en") -> str:
    """The page of the reports, as an owner sees it."""
    browser = Browser(app)
    assert browser.log_in().status_code == 303
    answer = browser.get("/domains/1/reports", **{"Accept-Language": language})
    assert answer.status_code == 200
    return answer.text


DMARC_FORMS = {
    "zip": mail(zipped(dmarc()), "reporter.example!example.org!1!2.zip", "application/zip"),
    "gzip": mail(gzipped(dmarc()), "reporter.example!example.org!1!2.xml.gz", "application/gzip"),
    "plain": mail(dmarc().encode(), "report.XML", "text/xml"),
    "namespace": mail(zipped(samples.with_namespace(dmarc())), "report.zip"),
}


@pytest.mark.parametrize("form", DMARC_FORMS)
def test_a_dmarc_report_is_read_in_whatever_way_it_is_packed(app: Flask, domain: Database, form: str) -> None:
    assert send(app, DMARC_FORMS[form]) == COUNTED
    assert counted(domain) == [("192.0.2.0/24", "both", "", 3)]


def test_a_tls_report_is_counted_with_failures_that_it_does_not_explain(app: Flask, domain: Database) -> None:
    assert send(app, mail(gzipped(tls()), "reporter.json.gz", "application/tlsrpt+gzip")) == COUNTED
    assert counted(domain) == [
        ("", "encrypted", "", 40),
        ("", "other-failure", "", 1),
        ("route1.mx.example", "certificate-expired", "", 2),
    ]
    text = page(app)
    assert (
        "The certificate of the receiving server has expired." in text
        and "The report does not say why." in text
    )


def test_a_report_that_comes_again_counts_once(app: Flask, domain: Database) -> None:
    for form in ("zip", "gzip"):
        assert send(app, DMARC_FORMS[form]) == COUNTED
    assert len(counted(domain)) == 1
    # Another reporter may have the same number.
    assert send(app, DMARC_FORMS["zip"], reporter="other.example") == COUNTED
    assert len(counted(domain)) == 2


def test_each_way_of_passing_and_failing_is_told_apart_and_explained(app: Flask, domain: Database) -> None:
    relay, stranger = ("bounce.relay.example", "pass"), ("stranger.example", "fail")
    records = (
        record("192.0.2.1", 90),
        record("198.51.100.1", 8, spf="fail", envelope=relay),
        record("203.0.113.1", 7, dkim="fail", signed=("", "none")),
        record("2001:db8:1:2::3", 6, dkim="fail", spf="fail", envelope=relay, signed=relay),
        record("192.0.3.1", 5, dkim="fail", spf="fail", signed=("example.org", "fail"), envelope=stranger),
        record("192.0.4.1", 4, dkim="fail", spf="fail", signed=("", "none"), envelope=stranger),
        record("192.0.5.1", 2, dkim="fail", spf="fail", envelope=stranger, reason="mailing_list"),
    )
    assert send(app, mail(zipped(dmarc(*records)), "r.zip")) == COUNTED
    assert [row[:3] for row in counted(domain)] == [
        ("192.0.2.0/24", "both", ""),
        ("192.0.3.0/24", "broken", ""),
        ("192.0.4.0/24", "nothing", "stranger.example"),
        ("192.0.5.0/24", "forwarded", ""),
        ("198.51.100.0/24", "dkim", "bounce.relay.example"),
        ("2001:db8:1::/48", "other", "bounce.relay.example"),
        ("203.0.113.0/24", "spf", ""),
    ]
    text = page(app)
    assert "Of 122 mails, 86.0 % passed." in text
    assert "It passed for bounce.relay.example, which is not your domain: that does not count." in text
    assert "nothing proves that they may" in text and "without it, forwarded mail fails" in text
    assert "合格" in page(app, "ja")


@pytest.mark.parametrize(
    ("published", "own", "failed", "days", "advice"),
    [
        ("none", 99, 1, 15, "change p=none to p=quarantine"),
        ("quarantine", 99, 1, 15, "change p=quarantine to p=reject"),
        ("reject", 99, 1, 15, "as strict as it can be"),
        ("none", 90, 10, 15, "Do not make the policy stricter yet"),
        ("none", 99, 1, 3, "too early to judge"),
        ("none", 2, 0, 15, "too early to judge"),
    ],
)
def test_a_stricter_policy_is_advised_once_what_may_be_ours_passes(
    app: Flask, domain: Database, published: str, own: int, failed: int, days: int, advice: str
) -> None:
    other = record("198.51.100.1", failed, "fail", "fail", ("x.example", "pass"), ("x.example", "pass"))
    # What strangers send says nothing about ours.
    forged = record("203.0.113.1", 5000, "fail", "fail", ("", "none"), ("y.example", "fail"))
    for day in range(days):
        begin = samples.BEGIN - day * samples.DAY
        keep(domain, dmarc(record(count=own), other, forged, number=str(day), begin=begin, p=published))
    assert advice in page(app)


def xml(content: str) -> bytes:
    """A mail with a document that is not packed."""
    return mail(content.encode(), "r.xml")


def bomb() -> bytes:
    """60 MB in an archive of 60 kB."""
    return zipped(b"<feedback>" + b" " * (60 * 1024 * 1024))


LAUGHS = '<!DOCTYPE f [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)
#: What comes, and what the log says of it.
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no attachment": (lambda: b"From: a@reporter.example\r\n\r\nPlease call me.\r\n", "no attachment"),
    "a photo in an archive": (lambda: mail(zipped(b"\x89PNG\r\n"), "holiday.zip"), "not well-formed"),
    "a zip bomb": (lambda: mail(bomb(), "r.zip"), "too large"),
    "an archive in an archive": (lambda: mail(zipped(zipped(dmarc())), "r.zip"), "not well-formed"),
    "an archive of a hundred": (lambda: mail(zipped(*[dmarc()] * 100), "r.zip"), "too many"),
    "no archive": (lambda: mail(b"PK\x03\x04 and no more", "r.zip"), "BadZipFile"),
    "half an archive": (lambda: mail(gzipped(dmarc())[:-40], "r.xml.gz"), "ParseError"),
    "a billion laughs": (lambda: xml(f"{LAUGHS}]><feedback>&j;</feedback>"), "DTDForbidden"),
    "an entity of a file": (
        lambda: xml('<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>&x;</feedback>'),
        "DTDForbidden",
    ),
    "too many elements": (
        lambda: mail(gzipped(f"<feedback>{'<a/>' * 210_000}</feedback>"), "r.xml.gz"),
        r"too many elements \(200000\)|takes longer",
    ),
    "a million levels": (lambda: mail(gzipped("<a>" * 1_000_000), "r.xml.gz"), r"in each other \(21\)"),
    "a million brackets": (lambda: mail(gzipped('{"a":' + "[" * 1_000_000), "r.json.gz"), "RecursionError"),
    "millions of lists": (
        lambda: mail(gzipped('{"a":[' + "[]," * 2_500_000 + "0]}"), "r.json.gz"),
        "MemoryError|ended with|takes longer",
    ),
    "another document": (lambda: xml("<html><body/></html>"), "is no number"),
    "no address": (lambda: xml(dmarc(record(source="' OR 1=1"))), "does not appear to be"),
    "a negative count": (lambda: xml(dmarc(record(count=-5))), "is no number"),
    "a count beyond all": (lambda: xml(dmarc(record(count=10**30))), "is no number"),
    "a day to come": (lambda: xml(dmarc(begin=samples.BEGIN + 30 * samples.DAY)), "too long ago, or to come"),
    "a day long ago": (lambda: xml(dmarc(begin=samples.BEGIN - 500 * samples.DAY)), "too long ago"),
    "a long time": (lambda: xml(dmarc(begin=samples.BEGIN - 90 * samples.DAY, days=60)), "is too long"),
    "no id": (lambda: xml(dmarc(number="")), "has no id"),
    "a domain of others": (lambda: xml(dmarc(domain="bank.example")), "not a domain of this server"),
    "one of ours, one of others": (
        lambda: mail(zipped(dmarc(), dmarc(domain="bank.example")), "r.zip"),
        "not a domain of this server",
    ),
    "other types": (lambda: xml(tls(policies=[{"policy": 5, "summary": []}])), "TypeError"),
    "no list": (lambda: xml(tls(policies="none")), "TypeError"),
    "two lines for the log": (lambda: xml(dmarc(begin="1\n2026 CRITICAL: all is lost")), "is no number"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_report_is_left_to_the_mailbox_and_the_log_says_why(
    app: Flask, domain: Database, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, reason = HOSTILE[what]
    assert send(app, make()) == NONE
    assert counted(domain) == []
    said = caplog.records[-1].getMessage()
    assert re.search(reason, said) and said.isprintable()


def test_what_takes_too_long_to_read_is_left_to_the_mailbox(
    app: Flask, domain: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SECONDS", 0.001)
    assert send(app, DMARC_FORMS["zip"]) == NONE
    assert counted(domain) == []


SAMPLES = [*DMARC_FORMS.values(), mail(tls().encode(), "r.json"), mail(gzipped(tls()), "r.json.gz")]


def test_what_the_other_process_reads_arrives_unchanged() -> None:
    for sample in SAMPLES:
        found = reader.read_here(sample)
        assert found and reader.read(sample) == found


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A report with some bytes that are others, or a part of it."""
    whole = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(whole) - 1))
        whole[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(whole)


@example_settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(content=st.one_of(damaged(), st.binary()), attached=st.booleans())
def test_no_bytes_do_more_than_be_unreadable(
    app: Flask, domain: Database, content: bytes, attached: bool
) -> None:
    before = len(counted(domain))
    answer = send(app, mail(content, "r.zip") if attached else content)
    assert answer in (COUNTED, NONE)
    assert answer == COUNTED or len(counted(domain)) == before


def test_more_networks_than_are_kept_are_counted_together(app: Flask, domain: Database) -> None:
    records = [record(f"10.{number}.0.1", number + 1) for number in range(150)]
    assert send(app, mail(zipped(dmarc(*records)), "r.zip")) == COUNTED
    rows = counted(domain)
    assert len(rows) == 101 and sum(row[3] for row in rows) == sum(range(1, 151))
    assert rows[0] == ("", "both", "", sum(range(1, 51)))


def test_a_flood_of_reports_replaces_its_own_and_old_ones_go(
    app: Flask, domain: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain_reports, "MOST_REPORTS", 5)
    keep(domain, dmarc(), "honest.example")
    for number in range(9):
        keep(domain, dmarc(number=str(number)), "flood.example")
    with domain.transaction() as session:
        kept = list(session.scalars(select(DomainReport)))
        assert sorted(each.reporter for each in kept) == ["flood.example"] * 4 + ["honest.example"]
        kept[0].day = (utc_now() - timedelta(days=400)).date()
    keep(domain, dmarc(number="new"), "honest.example")
    with domain.transaction() as session:
        oldest = session.scalar(select(func.min(DomainReport.day)))
        assert oldest > (utc_now() - timedelta(days=400)).date()


@pytest.mark.mariadb
def test_on_a_real_server_reports_are_summed_up_and_go_with_their_domain(mariadb: Server) -> None:
    real = Database(mariadb.url("usermgmt"))
    with real.transaction() as session:
        known = domains.add_domain(session, COMMAND_LINE, "reported.example")
    for number in ("1", "2"):
        keep(real, dmarc(record(), record("10.0.0.1", 5, "fail"), number=number, domain=known.name))
    with real.transaction() as session:
        found = domain_reports.summary(session, known)
        assert found.totals == (16, 0) and [group.count for group in found.mail] == [10, 6]
        assert found.reporters == [("reporter.example", 2, found.days[-2][0])] and found.policy == "none"
        domains.delete_domain(session, COMMAND_LINE, known.id)
    assert counted(real) == []
    real.engine.dispose()


def test_only_the_filter_itself_hands_over_reports(app: Flask, domain: Database) -> None:
    assert send(app, DMARC_FORMS["zip"], peer="192.0.2.99") == 404
    assert send(app, DMARC_FORMS["zip"], peer=PROXY, **{"X-Forwarded-For": FILTER}) == 404
    assert counted(domain) == []


def test_while_the_database_is_down_the_sender_is_to_try_again(
    app: Flask, domain: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(domain_reports, "keep_few", down)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        assert send(app, DMARC_FORMS["zip"]) == 503
    assert counted(domain) == [], "nothing half written"
    assert send(app, DMARC_FORMS["zip"]) == COUNTED


def test_a_program_reads_the_reports_of_its_domains(app: Flask, domain: Database) -> None:
    assert send(app, DMARC_FORMS["zip"]) == COUNTED
    program = Program(app, token(domain, ("report:read",)))
    found = program("GET", "/reports").get_json()
    assert found["total"] == 1 and found["items"][0]["domain"] == "example.org"
    assert found["items"][0]["rows"][0]["source"] == "192.0.2.0/24"
    assert program("GET", "/reports?q=elsewhere").get_json()["total"] == 0
