"""The canaries without a stack: what they remember, compare and make, and what is said."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailctl import canaries
from mailctl.canaries import accounts, people
from mailctl.canaries.table import Canary
from mailctl.core import hold
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.output import Output

KNOWN = {"uidvalidity": 7, "messages": 1, "flags": ["$canary"], "digest": "d"}
BOX = {"uidvalidity": 5, "uidnext": 9, "messages": 12}


class FakeServer:
    """Containers whose answers are lines of a test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.boxes: people.Status = {"ann@example.com": dict(BOX), "full@mailctl-canary.test": dict(BOX)}
        self.rows, self.maps, self.broken = accounts.WHOLE, dict[str, list[str]](), ""
        self.commands = "api  ensure  purge  token"
        self.ensured: dict[str, list[dict[str, str]]] = {}

    def running(self) -> dict[str, Any]:
        return dict.fromkeys(("postfix", "dovecot", "clamav"))

    def inside(self, service: str, words: tuple[str, ...], stdin: str = "", limit: float = 60) -> str:
        self.asked.append((service, *words))
        if service == self.broken:
            raise Refused(Problem(service, "does not answer", "make logs"))
        answer: Callable[..., str] = getattr(self, service.replace("-", "_"))
        return answer(words, stdin)

    def usermgmt(self, words: tuple[str, ...], stdin: str) -> str:
        if words[-1] == "ensure":
            self.ensured = json.loads(stdin)
        if words[-1] == "--help":
            return self.commands
        return "ACCOUNT_HOST=account.example.com\n" if words == ("env",) else ""

    def mariadb(self, words: tuple[str, ...], stdin: str) -> str:
        if stdin.startswith("SELECT"):
            return f"{self.rows}\n"
        self.rows = accounts.WHOLE
        return ""

    def dovecot(self, words: tuple[str, ...], stdin: str) -> str:
        if words[:2] == ("doveadm", "user"):
            return "\n".join(self.boxes)
        found = (user for user in words[4:] if user in self.boxes)
        facts = ((user, self.boxes[user].items()) for user in found)
        return "\n".join(f"{user} INBOX {' '.join(f'{k}={v}' for k, v in box)}" for user, box in facts)

    def postfix(self, words: tuple[str, ...], stdin: str) -> str:
        rows = list(zip(words[4::2], words[5::2], strict=True))
        return "\n".join(f"{file}\t{key}\t{self.answer(file, key)}" for file, key in rows)

    def answer(self, file: str, key: str) -> str:
        if waiting := self.maps.get(file):
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if file == "refused.cf":
            return "550 5.1.1 no" if key.startswith("off@") else ""
        if file == "aliases.cf" and key.startswith(("alias@", "@")):
            return next(word for word in self.asked[-1] if word.startswith("canary-"))
        return "" if key.startswith(("off@", "nobody-", "elsewhere")) else key

    def rspamd(self, words: tuple[str, ...], stdin: str) -> str:
        if words[0] == "cat":
            return "example.com old\nexample.com mailctl2\n"
        return json.dumps({"dkim-signature": "v=1", "action": "add header"})

    def mailserver_api(self, words: tuple[str, ...], stdin: str) -> str:
        self.sent = json.loads(stdin)
        detail = json.dumps(KNOWN) if self.sent["past"] is None else "well"
        return json.dumps(
            {name: {"ok": True, "seconds": 0.1, "detail": detail} for name in self.sent["names"]}
        )


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / ".env").write_text(f"SSD_PATH={tmp_path}/ssd\nMAIL_DOMAIN=example.com\n")
    return Context(tmp_path, Output(as_json=True), environ={})


def tried(context: Context, server: Any, **more: Any) -> dict[str, Canary]:
    return {one.name: one for one in canaries.run(context, runtime=server, limit=2, **more)}


def test_with_a_past_every_canary_is_tried_and_none_is_left_out(context: Context, server: FakeServer) -> None:
    found = tried(context, server, past=canaries.remember(context, server))
    assert tuple(found) == canaries.NAMES
    assert all(one.ok and "left out" not in one.detail for one in found.values())


def test_without_a_past_what_needs_one_is_left_out_and_said(context: Context, server: FakeServer) -> None:
    found = tried(context, server)
    assert {name for name, one in found.items() if "left out" in one.detail} == {"known", "people"}
    assert all(one.ok for one in found.values())


def test_what_could_not_be_remembered_is_no_error_and_the_reason_is_told(
    context: Context, server: FakeServer
) -> None:
    server.broken = "dovecot"
    past = canaries.remember(context, server)
    server.broken = ""
    assert "dovecot: does not answer" in tried(context, server, past=past)["known"].detail


def test_the_past_is_a_plain_document(context: Context, server: FakeServer) -> None:
    past = canaries.remember(context, server)
    assert json.loads(json.dumps(past)) == past
    assert past["known"] == KNOWN and past["people"]["mailboxes"] == {"ann@example.com": BOX}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (None, "Dovecot does not find it"),
        (BOX | {"uidvalidity": 6}, "UIDVALIDITY 5 is now 6"),
        (BOX | {"uidnext": 8}, "UIDNEXT fell from 9 to 8"),
        (BOX | {"messages": 0}, "its 12 mails are gone"),
    ],
    ids=["not found", "another UIDVALIDITY", "a lower UIDNEXT", "empty"],
)
def test_a_person_s_mailbox_that_started_again_is_lost(
    context: Context, server: FakeServer, now: dict[str, int] | None, said: str
) -> None:
    past = canaries.remember(context, server)
    server.boxes.pop("ann@example.com")
    server.boxes |= {"ann@example.com": now} if now else {}
    lost = tried(context, server, past=past)["people"]
    assert not lost.ok and f"1 of 1 are not as they were: ann@example.com: {said}" in lost.detail


def test_a_person_may_get_mail_and_delete_some_meanwhile(context: Context, server: FakeServer) -> None:
    past = canaries.remember(context, server)
    server.boxes["ann@example.com"] = BOX | {"uidnext": 11, "messages": 1}
    assert tried(context, server, past=past)["people"].ok


def test_the_sample_has_the_largest_domain_s_first_and_at_most_twenty(server: FakeServer) -> None:
    small = [f"user{n:02}@small.example" for n in range(30)]
    large = [f"user{n:02}@large.example" for n in range(31)]
    server.boxes |= {user: dict(BOX) for user in [*small, *large]}
    for _ in range(20):
        chosen = people.sample(server)["mailboxes"]  # type: ignore[arg-type]
        assert len(chosen) == people.MOST and "user00@large.example" in chosen
        assert not any(user.endswith(people.DOMAIN) for user in chosen)


@pytest.mark.parametrize(
    ("file", "answer"),
    [
        ("domains.cf", ""),
        ("mailboxes.cf", "ann@example.com,bob@example.com"),
        ("aliases.cf", ""),
        ("refused.cf", ""),
        ("sender_logins.cf", "ann@example.com"),
    ],
)
def test_a_map_that_answers_wrongly_is_named_and_no_mail_is_sent(
    context: Context, server: FakeServer, file: str, answer: str
) -> None:
    past = canaries.remember(context, server)
    server.asked, server.maps = [], {file: [answer]}
    found = tried(context, server, past=past)
    assert list(found) == ["maps"] and not found["maps"].ok
    assert re.search(rf"{file} answers '{answer}' for ", found["maps"].detail)
    assert not [words for words in server.asked if words[0] == "mailserver-api"]


def test_a_map_that_does_not_answer_yet_is_asked_again(context: Context, server: FakeServer) -> None:
    past = canaries.remember(context, server)
    server.maps = {
        "domains.cf": ["postmap: fatal: no connection", "postmap: fatal: no connection", people.DOMAIN, ""]
    }
    assert tried(context, server, past=past, names=["maps"])["maps"].ok


def test_an_account_of_an_older_version_stays_and_gets_an_app_password(context: Context) -> None:
    path = context.repo / "ssd" / ".mailctl" / "canary.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"address": "canary-1@example.com", "password": "p"}))
    account = accounts.kept(context)
    assert (account["address"], account["password"]) == ("canary-1@example.com", "p")
    assert canaries.address(context) == "canary-1@example.com"
    assert accounts.kept(context) == account and len(account["app_password"]) > 20


def test_only_root_reads_the_account(context: Context) -> None:
    accounts.kept(context)
    assert (context.repo / "ssd" / ".mailctl" / "canary.json").stat().st_mode & 0o777 == 0o600


def test_accounts_that_are_missing_are_made_with_the_operator_s_tool(
    context: Context, server: FakeServer
) -> None:
    server.rows = 3
    assert "missing" not in canaries.remember(context, server)
    assert [words[2:] for words in server.asked if words[0] == "usermgmt"] == [("--help",), ("ensure",)]
    assert {kind: len(each) for kind, each in server.ensured.items()} == {
        "domains": 3,
        "mailboxes": 3,
        "aliases": 2,
    }


def test_an_older_version_that_runs_is_asked_in_its_own_words(context: Context, server: FakeServer) -> None:
    server.rows, server.commands = 3, "admin  alias  api  domain  list  mailbox  purge  token"
    assert "missing" not in canaries.remember(context, server)
    made = [words[2:5] for words in server.asked if words[0] == "usermgmt"]
    assert [words[:2] for words in made[1:]] == [("domain", "add")] * 3 + [("mailbox", "add")] * 3 + [
        ("alias", "add")
    ] * 2


def test_accounts_that_are_there_are_left_alone(context: Context, server: FakeServer) -> None:
    canaries.remember(context, server)
    assert not [words for words in server.asked if words[0] == "usermgmt"]


def test_a_filter_that_does_not_sign_is_told_to_the_canary_that_needs_it(
    context: Context, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "rspamd", lambda words, stdin: "error" if words[0] == "bash" else "")
    tried(context, server)
    assert "does not sign for example.com" in server.sent["unsigned"] and server.sent["junk_action"] == ""


def test_what_cannot_be_tried_is_a_result_and_no_error(context: Context, server: FakeServer) -> None:
    server.broken = "mariadb"
    found = tried(context, server)
    assert found and not any(one.ok for one in found.values())


@pytest.mark.parametrize(
    ("touched", "suspect"),
    [
        (["dovecot", "nginx"], "dovecot"),
        (["nginx"], "nginx"),
        ([], "postfix"),
        (["postfix", "rspamd"], "rspamd"),
    ],
)
def test_the_last_change_behind_a_lost_canary_is_suspected(touched: list[str], suspect: str) -> None:
    assert Canary("mail", False, 1.0, "").suspect(touched) == suspect


def test_while_mail_is_held_the_canaries_carry_the_word(context: Context, server: FakeServer) -> None:
    journal = context.repo / "ssd" / ".mailctl" / "deploy" / "journal.json"
    assert hold.word(context) is None
    journal.parent.mkdir(parents=True)
    journal_word = "once"
    journal.write_text(json.dumps({"hold": {"word": journal_word}}))
    tried(context, server)
    assert server.sent["pass"] == journal_word


@pytest.mark.parametrize(
    ("chosen", "seconds"),
    [
        ({}, 60),
        ({"CANARY_SECONDS": "30"}, 30),
        ({"CANARY_SECONDS": "1"}, 15),
        ({"CANARY_SECONDS": "soon"}, 60),
    ],
    ids=["unset", "chosen", "too-short", "no-number"],
)
def test_how_long_a_canary_is_tried_is_a_setting_within_bounds(
    tmp_path: Path, chosen: dict[str, str], seconds: int
) -> None:
    (tmp_path / ".env").write_text("")
    assert canaries.patience(Context(tmp_path, Output(), environ=chosen)) == seconds
