"""`mailctl probe`: what is sent, how what comes back is judged, and what is remembered of it."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from test_queue import listed

from mailctl.core import probe_record
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.probe import retry, run, send

SCHEMA = Path(__file__).parents[2] / "schemas" / "environment.schema.json"
OURS, DOMAIN = "mail.example.com", "example.com"
GOOD = (
    f"{OURS}; dkim=pass header.d={DOMAIN} header.s=mailctl1 header.b=abc; "
    f"spf=pass ({OURS}: domain of x@relay.example designates 203.0.113.7 as permitted sender) "
    f"smtp.mailfrom=x@relay.example; dmarc=pass (policy=none) header.from={DOMAIN}"
)
TOKEN = "token-number-one-of-all-the-tests"  # noqa: S105


def at(seconds: float, sent: float) -> str:
    return format_datetime(datetime.fromtimestamp(sent, UTC) + timedelta(seconds=seconds))


def header(results: str = GOOD, sent: float = 1e9, foreign: str = "", own: str = "") -> str:
    """What lies in the mailbox: the hops of a good probe, 1, 2, 30 and 33 seconds after it was sent."""
    lines = [
        f"Received: from postfix by dovecot with LMTP (in: by x) id 1; {at(33, sent)}",
        f"Received: from api (unknown [10.0.0.2])\n\tby {OURS} (Postfix) with ESMTPS id 2;",
        f"\t{at(33, sent)} (UTC)",
        *([f"Authentication-Results: {results}"] if results else []),
        *([own] if own else []),
        "X-Mailserver-Delivery: 12ab",
        "Received: from out.relay.example (203.0.113.7)",
        f" by cloudflare-email.net (cloudflare) id 3; {at(30, sent)}",
        *([f"Authentication-Results: {foreign}"] if foreign else []),
        f"Received: from {OURS} by relay.example with ESMTPS; {at(2, sent)}",
        f"Received: from localhost (localhost [127.0.0.1]) by {OURS} (Postfix) id 4; {at(1, sent)}",
        f"From: mailctl-probe@{DOMAIN}",
    ]
    return "\n".join(lines) + "\n"


# ---- Sending, waiting, remembering


class Server:
    """The containers that a probe meets: `outside` says what becomes of a mail that was handed to Postfix."""

    def __init__(self, outside: Callable[["Server", str], None]) -> None:
        self.outside, self.box, self.queue = outside, [], ""
        self.asked: list[tuple[str, ...]] = []
        self.remembered: list[list[object]] = []

    def inside(self, service: str, words: Sequence[str], stdin: str = "", limit: float = 60) -> str:
        self.asked.append((service, *words))
        match words[0]:
            case "smtp-source":
                self.outside(self, stdin)
            case "postqueue":
                return self.queue
            case "python":
                return json.dumps(self.remembered)
            case "doveadm":
                return self._doveadm(list(words))
        return ""

    def _doveadm(self, words: list[str]) -> str:
        if "expunge" in words:
            self.box = [mail for mail in self.box if words[-2] == "text" and words[-1] in str(mail)]
            return ""
        field = "hdr" if "subject" in words else "body"
        return json.dumps([mail for mail in self.box if words[-1] in mail[field]])

    def sent(self) -> list[tuple[str, ...]]:
        return [asked for asked in self.asked if asked[1] == "smtp-source"]


def subject(raw: str) -> str:
    [line] = re.findall("^Subject: .*$", raw, re.MULTILINE)
    return line


def comes_back(server: Server, raw: str, results: str = GOOD, folder: str = "INBOX") -> None:
    [date] = re.findall("^Date: (.*)$", raw, re.MULTILINE)
    hdr = header(results, sent=parsedate_to_datetime(date).timestamp()) + subject(raw) + "\n"
    server.box.append({"mailbox": folder, "hdr": hdr, "body": "no token here"})


def bounces(server: Server, raw: str) -> None:
    report = f"Diagnostic-Code: smtp; 550 5.7.1 the relay does\n not know you\n\n{subject(raw)}\n"
    server.box.append({"mailbox": "INBOX", "hdr": "Subject: Undelivered Mail", "body": report})


def is_lost(server: Server, raw: str) -> None:
    pass


@pytest.fixture
def host(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A host that is set up, on which a retry was asked about before."""
    monkeypatch.setattr(run, "POLL_SECONDS", 0.01)
    folder = context.repo / "secrets"
    folder.mkdir()
    (folder / "mailserver_api_tokens").write_text(f"{TOKEN}\nanother-one-that-is-valid-as-well-now\n")
    (context.repo / ".env").write_text(f"MAIL_DOMAIN={DOMAIN}\nSSD_PATH={tmp_path}/ssd\n")
    probe_record.write(context, {"state": retry.TRIED, "text": "was asked"}, probe_record.RETRY_FILE)
    return context


def test_a_probe_that_comes_back_is_remembered_and_removed(host: Context) -> None:
    server = Server(comes_back)
    server.box = [{"mailbox": "INBOX", "hdr": "Subject: Probe of yesterday", "body": ""}]
    result = run.probe(host, server, 1, False)
    assert (
        result.ok and result.text == "it came back after 33 s: DKIM, DMARC pass, SPF pass, selector mailctl1"
    )
    assert server.box == []
    kept = probe_record.read(host)
    assert kept and (kept["ok"], kept["text"], kept["fix"]) == (True, result.text, "")
    assert abs(kept["at"] - time.time()) < 60


def test_it_goes_to_the_listener_that_leaves_by_the_relay_and_its_token_is_in_the_subject(
    host: Context,
) -> None:
    mails: list[str] = []
    server = Server(lambda server, raw: (mails.append(raw), comes_back(server, raw))[-1])
    run.probe(host, server, 1, False)
    address = f"mailctl-probe@{DOMAIN}"
    [words] = server.sent()
    assert words[-5:] == ("-f", address, "-t", address, "127.0.0.1:27")
    token = subject(mails[0]).split()[-1]
    assert mails[0].count(token) == 1


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        (lambda s, raw: comes_back(s, raw, GOOD.replace("dkim=pass", "dkim=fail")), "does not verify"),
        (bounces, "it bounced: 550 5.7.1 the relay does not know you"),
        (is_lost, "the relay has taken it: it was lost outside"),
    ],
)
def test_what_fails_says_what_happened_and_what_to_do(
    host: Context, outside: Callable[[Server, str], None], said: str
) -> None:
    result = run.probe(host, Server(outside), 0.05, False)
    assert not result.ok and said in result.text and result.fix
    assert (probe_record.read(host) or {})["ok"] is False


def test_a_probe_that_waits_in_our_queue_is_found_there_with_the_reason(host: Context) -> None:
    server = Server(is_lost)
    waits = json.loads(listed("Q1", age=-60))
    waits["recipients"] = [
        {"address": f"mailctl-probe@{DOMAIN}", "delay_reason": "535 the key was withdrawn"}
    ]
    server.queue = json.dumps(waits)
    result = run.probe(host, server, 0.05, False)
    assert "waits in our own queue: 535 the key was withdrawn" in result.text


def test_older_probes_leave_the_queue_and_the_mail_of_people_stays(host: Context) -> None:
    server = Server(comes_back)
    old = {**json.loads(listed("OLD")), "recipients": [{"address": f"mailctl-probe@{DOMAIN}"}]}
    server.queue = json.dumps(old) + "\n" + listed("PEOPLES")
    run.probe(host, server, 1, False)
    assert [asked for asked in server.asked if "postsuper" in asked] == [
        ("postfix", "postsuper", "-d", "OLD")
    ]


def test_a_service_that_is_down_is_remembered_as_a_failed_probe(
    host: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise Refused(Problem("service dovecot", "does not run", "make status"))

    monkeypatch.setattr(run.box, "clear", refuses)
    with pytest.raises(Refused):
        run.probe(host, Server(comes_back), 1, False)
    kept = probe_record.read(host) or {}
    assert (kept["ok"], kept["text"], kept["fix"]) == (False, "service dovecot: does not run", "make status")


def test_two_probes_at_once_do_not_remove_each_other_s_mail(host: Context) -> None:
    def second(server: Server, raw: str) -> None:
        with pytest.raises(Refused, match="mailctl probe"):
            run.probe(host, Server(comes_back), 1, False)
        comes_back(server, raw)

    assert run.probe(host, Server(second), 1, False).ok


# ---- Does the sender try again?


def first(host: Context) -> Server:
    """A server after the very first probe."""
    (probe_record.folder(host) / probe_record.RETRY_FILE).unlink()
    server = Server(comes_back)
    run.probe(host, server, 1, False)
    return server


def test_the_first_probe_is_followed_by_one_that_the_api_knows_to_defer(host: Context) -> None:
    server = first(host)
    [_, words] = server.sent()
    [(nonce, mark)] = re.findall(rf"^mailctl-probe\+retry-(\w{{12}})-(\w{{24}})@{DOMAIN}$", words[-2])
    key = hashlib.sha256(TOKEN.encode()).digest()
    assert mark == hmac.new(key, f"retry-{nonce}".encode(), "sha256").hexdigest()[:24]
    assert (probe_record.read(host) or {})["retry"] == "pending"


def test_later_ones_ask_again_only_on_request(host: Context) -> None:
    for wanted, mails in ((False, 1), (True, 2)):
        server = Server(comes_back)
        run.probe(host, server, 1, wanted)
        assert len(server.sent()) == mails


def test_a_mail_that_came_after_it_was_deferred_was_tried_again(host: Context) -> None:
    server = first(host)
    server.remembered = [["temporary", 0, "", int(time.time() - 9 * 60 + 33)]]
    result = run.probe(host, server, 1, False)
    assert result.record()["retry"] == "tried again"
    assert result.record()["retry_text"] == "the sender tried again after 9 min"


def test_a_mail_that_nobody_deferred_proves_nothing(host: Context) -> None:
    assert run.probe(host, first(host), 1, False).record()["retry"] == "unknown"


def test_a_bounce_of_the_deferred_mail_is_told_with_its_reason(host: Context) -> None:
    (probe_record.folder(host) / probe_record.RETRY_FILE).unlink()
    way = iter((comes_back, bounces, comes_back))
    server = Server(lambda server, raw: next(way)(server, raw))
    run.probe(host, server, 1, False)
    result = run.probe(host, server, 1, False)
    assert result.ok and result.record()["retry"] == "bounced"
    assert "bounced the deferred mail at once: 550 5.7.1" in result.record()["retry_text"]


def test_while_it_is_on_its_way_it_is_pending_and_after_a_day_unknown(
    host: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = first(host)
    server.box.clear()
    assert run.probe(host, server, 1, False).record()["retry"] == "pending"
    monkeypatch.setattr(retry, "PATIENCE", -1)
    assert run.probe(host, server, 1, False).record()["retry"] == "unknown"


# ---- The command, its interval, and what status says


@pytest.fixture
def commanded(host: Context, monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Let `mailctl probe` meet this server."""

    def use(server: Server) -> None:
        @contextmanager
        def runtime(*_: object) -> Any:
            yield server

        monkeypatch.setattr("mailctl.core.stack.runtime", runtime)

    return use


def test_the_terminal_shows_the_result_and_each_hop(cli: Cli, commanded: Callable[[Server], None]) -> None:
    commanded(Server(comes_back))
    result = cli("probe")
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "✓ probe it came back after 33 s: DKIM, DMARC pass" in said and "28 s cloudflare-email.net" in said


def test_json_has_every_part_and_a_failed_probe_is_exit_code_1(
    cli: Cli, commanded: Callable[[Server], None]
) -> None:
    commanded(Server(is_lost))
    result = cli("probe", "--json", "--limit", 1)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["ok"], document["dkim"], document["hops"]) == (False, "", [])


def test_an_interval_that_no_timer_has_is_refused_with_those_that_it_has(host: Context) -> None:
    for word, seconds in (("1h", 3600), ("off", 0), ("15m", 900)):
        host.environ = {"PROBE_EVERY": word}
        assert probe_record.every(host)[0] == seconds
    host.environ = {"PROBE_EVERY": "7h"}
    with pytest.raises(Refused) as refusal:
        probe_record.every(host)
    assert "12h, 24h, off" in refusal.value.problems[0].fix


def test_the_gate_knows_every_interval_that_a_timer_has() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert {*schema["properties"]["PROBE_EVERY"]["enum"]} == {*probe_record.EVERY, probe_record.OFF, ""}


@pytest.mark.parametrize(
    ("ago", "ok", "mark", "said"),
    [
        (600, True, "ok", "10m 0s ago, it came back; the sender tried again after 9 min"),
        (600, False, "failed", "it came back"),
        (4 * 3600, True, "warning", "should have sent another one"),
    ],
)
def test_status_shows_the_last_probe(
    cli: Cli,
    host: Context,
    docker: FakeDocker,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    ago: int,
    ok: bool,
    mark: str,
    said: str,
) -> None:
    # On a busy machine a second and more pass between the two.
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    docker.configure(mariadb={})
    engine.containers = [container("mariadb")]
    retried = {"retry": "tried again", "retry_text": "the sender tried again after 9 min"}
    about = {"ok": ok, "seconds": 33, "text": "it came back", "fix": "make queue", **retried}
    probe_record.write(host, {"at": now - ago, **about})
    [line] = [one for one in json.loads(cli("status", "--json").stdout)["lines"] if one["name"] == "probe"]
    assert line["mark"] == mark and said in line["found"]


def test_a_token_that_cannot_be_read_is_named_with_a_fix(host: Context) -> None:
    (host.repo / "secrets" / "mailserver_api_tokens").write_text("")
    with pytest.raises(Refused, match="mailserver_api_tokens"):
        send.deferred(host)
