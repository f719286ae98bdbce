"""Where mail programs ask for their settings, through a real nginx as it is configured.

What the application answers is tried in tests/usermgmt/test_programs.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from tests.apps.nginx import Ask, serving
from tests.generation.generate import config_file, render

DOMAIN, ACCOUNT, WEBMAIL = "example.com", "account.example.com", "mail.example.com"
AUTOCONFIG, AUTODISCOVER = f"autoconfig.{DOMAIN}", f"autodiscover.{DOMAIN}"
CONFIG, OUTLOOK = "/mail/config-v1.1.xml", "/autodiscover/autodiscover.xml"
FORGED = {
    "CF-Connecting-IP": "203.0.113.5",
    "Cf-Access-Jwt-Assertion": "forged",
    "X-Forwarded-For": "8.8.8.8",
}
BURST = 20


def made(folder: Path, client_access: str) -> Path:
    names = {"mail_domain": DOMAIN, "account_host": ACCOUNT, "webmail_host": WEBMAIL}
    return render({**names, "client_access": client_access}, folder, config_file(folder))


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("repository"), "lan")


@pytest.fixture
def nginx(repository: Path, tmp_path: Path) -> Iterator[tuple[Ask, dict[int, str]]]:
    """One of its own for each test, for it counts who asks."""
    with serving(repository, tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("host", "path", "body", "arrives"),
    [
        (AUTOCONFIG, f"{CONFIG}?emailaddress=anna%40example.com", None, None),
        (AUTODISCOVER, OUTLOOK, "<Autodiscover/>", OUTLOOK),
        (AUTODISCOVER, "/Autodiscover/Autodiscover.xml", "<Autodiscover/>", OUTLOOK),
        (AUTODISCOVER, "/AUTODISCOVER/AUTODISCOVER.XML?x=1", "<Autodiscover/>", OUTLOOK),
        (ACCOUNT, f"/.well-known/autoconfig{CONFIG}?emailaddress=anna%40example.com", None, None),
        (ACCOUNT, "/phone/mail.mobileconfig?link=a%2Fb", None, None),
    ],
    ids=["Thunderbird", "Outlook", "Outlook, capitals", "Outlook, shouting", "well-known", "Apple"],
)
def test_what_a_program_asks_reaches_the_account_pages_as_it_was_asked(nginx, host, path, body, arrives):
    ask, names = nginx
    status, got = ask(host, path, body, **FORGED)
    assert (status, names[got["port"]], got["path"]) == (200, "usermgmt", arrives or path)
    assert (got["method"], got["body"]) == ("POST" if body else "GET", body or "")
    # The application knows only its own name.
    assert got["headers"]["host"] == ACCOUNT
    assert "cf-connecting-ip" not in got["headers"] and got["headers"]["x-forwarded-for"] != "8.8.8.8"
    if host != ACCOUNT:
        assert "cf-access-jwt-assertion" not in got["headers"]


def test_these_names_serve_nothing_else_and_the_webmail_nothing_of_theirs(nginx):
    ask, names = nginx
    for host in (AUTOCONFIG, AUTODISCOVER):
        for path in ("/", "/login", "/api/v1/mailboxes", f"{CONFIG}/", f"{OUTLOOK}.bak", f"/x{OUTLOOK}"):
            assert ask(host, path) == (404, None), (host, path)
    for path in (CONFIG, OUTLOOK, "/phone/mail.mobileconfig"):
        assert names[ask(WEBMAIL, path).arrived["port"]] == "roundcube"


def test_who_asks_without_end_is_slowed_down_and_others_are_not(nginx):
    ask, _ = nginx
    answers = [ask(AUTOCONFIG, CONFIG).status for _ in range(BURST + 5)]
    assert answers[:BURST] == [200] * BURST and 429 in answers
    assert ask(AUTODISCOVER, OUTLOOK, "").status == 429, "the other name counts with it"
    assert ask(ACCOUNT, "/account").status == 200


def test_without_mail_programs_the_names_are_not_ours(tmp_path):
    with serving(made(tmp_path / "made", "webmail"), tmp_path) as (ask, _):
        for host in (AUTOCONFIG, AUTODISCOVER):
            with pytest.raises(RemoteDisconnected):
                ask(host, CONFIG)
