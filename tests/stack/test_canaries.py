"""`mailctl canaries` on the running stack: all are well, and each wrong answer is seen by one of them."""

from __future__ import annotations

import imaplib
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stack.clients import Accounts, Mailbox
from tests.stack.stack import Stack, eventually, speaker

# mailctl of the generated repository: what a deployment calls before and after.
DRIVER = """
import json, sys
from pathlib import Path
from mailctl import canaries
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.core.stack import runtime, stack

asked, outer = json.load(sys.stdin), Context(Path.cwd(), Output(True))
with runtime(outer, True) as server:
    context = stack(outer, True)
    if asked is None:
        print(json.dumps(canaries.remember(context, server)))
    else:
        found = canaries.run(context, runtime=server, **asked)
        print(json.dumps([one.as_dict() for one in found]))
"""
DOMAIN = "mailctl-canary.test"
MAPS, DOVECOT = "/run/postfix/sql", "config/dovecot/dovecot.conf"

#: A map, and what changes its query into one that answers wrongly.
QUERIES = {
    "negated query of mailboxes": ("mailboxes.cf", "WHERE m.email = '%s'", "WHERE m.email <> '%s'"),
    "mailboxes that find nobody": ("mailboxes.cf", "WHERE m.email = '%s'", "WHERE m.email = 'x%s'"),
    "aliases that find nobody": ("aliases.cf", "AND NOT LOCATE('+', '%s')", "AND LOCATE('+', '%s')"),
    "domains that are not ours": ("domains.cf", "WHERE name = '%s'", "WHERE name <> '%s'"),
    "domains that are disabled only": ("domains.cf", "= '%s'", "= '%s' AND NOT active"),
    "log-ins that may send as all": ("sender_logins.cf", "WHERE m.email = '%s'", "WHERE m.active"),
    "log-ins that find nobody": ("sender_logins.cf", "WHERE m.email = '%s'", "WHERE m.email = 'x%s'"),
    "refused ones that are let in": ("refused.cf", "OR (EXISTS", "AND (EXISTS"),
}
ARRIVING = {"mail", "alias", "catch-all", "junk", "signed"}
ACTIVE = "AND m.active AND d.active AND m.deleted_at IS NULL"
#: A file, what changes in it, and the canaries that are lost.
CHANGES: dict[str, tuple[str, str, str, set[str]]] = {
    "userdb that finds nobody": (
        DOVECOT,
        f"{ACTIVE} \\\n    UNION",
        "AND m.deleted_at IS NOT NULL \\\n    UNION",
        {*ARRIVING, "quota", "login", "app-password", "known", "people"},
    ),
    "moved mail path": (
        DOVECOT,
        "mail_path = ~/mail",
        "mail_path = ~/post",
        {"known", "people", "quota"},
    ),
    "app passwords that find nobody": (
        DOVECOT,
        "WHERE m.email = '%{user}' AND a.password_hash",
        "WHERE m.email = 'x%{user}' AND a.password_hash",
        {"app-password"},
    ),
    "log-in of disabled mailboxes": (
        DOVECOT,
        f"{ACTIVE} AND NOT m.two_factor",
        "AND m.deleted_at IS NULL",
        {"disabled"},
    ),
    "full mailboxes take mail": (
        DOVECOT,
        "quota_status_overquota = 552 5.2.2 Mailbox is full",
        "quota_status_overquota = DUNNO",
        {"quota"},
    ),
    "spam is not filed": (
        DOVECOT,
        "sieve_script spam-to-junk {\n  type = before\n  cause = delivery",
        "sieve_script spam-to-junk {\n  type = before\n  cause = copy",
        {"junk"},
    ),
    "open relay": (
        "config/postfix/main.cf",
        "smtpd_relay_restrictions = reject_unauth_destination\nsmtpd_recipient_restrictions =\n"
        "  reject_non_fqdn_recipient,\n  reject_unauth_destination,",
        "smtpd_relay_restrictions = check_client_access static:OK, reject\nsmtpd_recipient_restrictions =\n"
        "  reject_non_fqdn_recipient,",
        {"relay"},
    ),
    "mail leaves without a signature": (
        "config/rspamd/local.d/dkim_signing.conf",
        "sign_authenticated = true",
        "sign_authenticated = false",
        {"mail", "signed"},
    ),
}
#: `make soak` tries all.
SAMPLE = [*list(CHANGES)[:2], *random.Random(19).sample(list(CHANGES)[2:], 2)]  # noqa: S311


@dataclass(frozen=True)
class Canaries:
    """What mailctl says of the stack."""

    stack: Stack

    def call(self, asked: dict | None) -> Any:
        done = subprocess.run(
            [".venv/bin/python", "-c", DRIVER],
            cwd=self.stack.repository,
            env={**os.environ, **self.stack.environment},
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def remember(self) -> dict:
        past = self.call(None)
        assert "missing" not in past, past
        return past

    def tried(self, past: dict, names: list[str] | None = None, limit: float = 60) -> list[dict]:
        return self.call({"names": names, "past": past, "limit": limit})

    def lost(self, past: dict, names: list[str] | None = None, limit: float = 60) -> set[str]:
        """The names of the canaries that do not come back."""
        return {one["name"] for one in self.tried(past, names, limit) if not one["ok"]}


@pytest.fixture(scope="module")
def canaries(stack: Stack) -> Canaries:
    return Canaries(stack)


@pytest.fixture(scope="module")
def past(canaries: Canaries) -> dict:
    return canaries.remember()


@contextmanager
def changed(stack: Stack, file: str, old: str, new: str) -> Iterator[None]:
    """A configuration file says something else, and its service was started again."""
    path, service = stack.repository / file, Path(file).parts[1]
    before = path.read_text()
    assert before.count(old) == 1, f"{file} has changed: {old}"
    path.write_text(before.replace(old, new))
    try:
        restarted(stack, service)
        yield
    finally:
        path.write_text(before)
        restarted(stack, service)


def restarted(stack: Stack, service: str) -> None:
    stack.docker("restart", service)
    stack.healthy(service)
    # What Postfix could not deliver meanwhile makes it wait with the rest.
    stack.exec("postfix", "postqueue", "-f")


@contextmanager
def another_query(stack: Stack, file: str, old: str, new: str) -> Iterator[None]:
    """The map that Postfix asks is another one."""
    path = f"{MAPS}/{file}"
    before = stack.exec("postfix", "cat", path)
    head, query = before.rsplit("query = ", 1)
    assert old in query
    write = ("sh", "-c", 'cat >"$1"', "sh", path)
    stack.exec("postfix", *write, stdin=f"{head}query = {query.replace(old, new, 1)}")
    try:
        yield
    finally:
        stack.exec("postfix", *write, stdin=before)
        # One that started meanwhile would answer by the other query as long as it lives.
        old = proxymaps(stack)
        stack.exec("postfix", "postfix", "reload")
        eventually(lambda: not old & proxymaps(stack), limit=120)


def proxymaps(stack: Stack) -> set[str]:
    """Postfix's processes that ask the maps for the others."""
    look = (
        "for each in /proc/[0-9]*; do read name <$each/comm && [ $name = proxymap ] && echo $each; done; true"
    )
    return set(stack.exec("postfix", "sh", "-c", look).split())


def test_all_are_well_and_none_is_left_out(
    canaries: Canaries, past: dict, request: pytest.FixtureRequest
) -> None:
    began = time.monotonic()
    found = canaries.tried(past)
    seconds = time.monotonic() - began
    speaker(request.config)(f"canaries: {len(found)} in {seconds:.1f} s")
    assert [one for one in found if not one["ok"]] == []
    assert "left out" not in json.dumps(found)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_that_answers_wrongly_is_found_before_any_mail_is_sent(
    stack: Stack, canaries: Canaries, past: dict, query: str
) -> None:
    file, old, new = QUERIES[query]
    with another_query(stack, file, old, new):
        found = canaries.tried(past, limit=3)
    assert [one["name"] for one in found] == ["maps"] and not found[0]["ok"]
    assert f"{file} answers" in found[0]["detail"]
    assert canaries.lost(past, names=["maps"]) == set()


@pytest.mark.parametrize("change", CHANGES if os.environ.get("CANARIES") == "all" else SAMPLE)
def test_a_change_that_breaks_mail_is_seen_by_its_canaries(
    stack: Stack, canaries: Canaries, past: dict, change: str
) -> None:
    file, old, new, lost = CHANGES[change]
    with changed(stack, file, old, new):
        # On a busy machine others may not come back within these seconds, either.
        assert lost <= canaries.lost(past, limit=5)
    assert canaries.lost(past) == set()


def test_what_a_killed_run_left_is_removed_by_the_next(stack: Stack, canaries: Canaries, past: dict) -> None:
    account = json.loads((stack.repository / ".local/ssd/.mailctl/canary.json").read_text())
    imap = Mailbox(account["address"], stack.info, account["password"]).imap
    for mark, age in (("killed", 180), ("under-way", 0)):
        left = f"Subject: Canary of mailctl\r\nX-Canary: {mark}\r\n\r\nleft\r\n"
        imap.append("INBOX", "", imaplib.Time2Internaldate(time.time() - age), left.encode())
    canaries.tried(past, names=["login"])
    assert imap.select("INBOX")[0] == "OK"
    assert imap.search(None, "HEADER X-Canary killed")[1] == [b""]
    assert imap.search(None, "HEADER X-Canary under-way")[1] != [b""]
    imap.store("1:*", "+FLAGS", r"(\Deleted)")
    imap.expunge()


def test_an_account_that_is_missing_is_made_again(stack: Stack, canaries: Canaries, past: dict) -> None:
    stack.sql("DELETE FROM aliases WHERE source = @alias; DELETE FROM app_passwords", alias=f"alias@{DOMAIN}")
    assert canaries.remember()["known"] == past["known"]
    assert canaries.lost(past) == set()


def test_nobody_sees_their_accounts_in_the_administration(accounts: Accounts, past: dict) -> None:
    pages = [accounts.http.get(page) for page in ("domains", "mailboxes", "aliases")]
    assert all(page.is_success and DOMAIN not in page.text for page in pages)
