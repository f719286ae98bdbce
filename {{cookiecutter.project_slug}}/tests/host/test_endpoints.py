"""What the server answers from outside: SMTP, IMAP, HTTP, TLS, and the canaries that go all the way."""

import json
import re

import pytest

POSTFIX, DOVECOT, WEB = "postfix", "dovecot", "nginx"
# Each site, and the service behind it.
SITES = {"webmail": "roundcube", "account": "usermgmt", "admin": "usermgmt"}


@pytest.fixture
def ask(server, endpoints, figure):
    """What one endpoint answers; it must answer at all."""

    def answer(name: str, *services: str):
        server.needs(*services)
        found = endpoints[name]
        figure("Answers", name, round(found["seconds"] * 1000), None, "ms")
        assert "error" not in found, f"{name}: {found.get('error')}"
        return found["answer"]

    return answer


def test_canaries_come_back_from_their_way_through_the_server(server, figure):
    """A mail arrives, a virus is refused, a password is taken, and both sites answer."""
    server.needs(*(server.containers if server.several else server.services))
    said = json.loads(server.call(".venv/bin/mailctl canaries --limit 40 --json").stdout)
    for one in said["canaries"]:
        figure("Canaries", one["name"], one["seconds"], None, "s")
    assert {one["name"]: one["detail"] for one in said["canaries"] if not one["ok"]} == {}


def test_inbound_smtp_relays_nothing_and_takes_no_log_in(ask):
    """An open relay is found within hours; passwords belong to submission alone."""
    found = ask("inbound", POSTFIX)
    assert found["relay"] in range(500, 600), "takes mail for strangers"
    assert "auth" not in found["offers"] and "starttls" in found["offers"]
    assert found["vrfy"] not in (250, 251), "tells who has a mailbox"


def test_smtp_does_not_tell_what_it_runs(ask):
    """A version in the greeting names the holes to try."""
    assert re.fullmatch(r"220 \S+ ESMTP", ask("banner", POSTFIX))


def test_submission_takes_passwords_over_tls_alone(ask):
    found = ask("submission", POSTFIX)
    assert (found["auth_before"], found["auth_after"]) == (False, True)
    assert found["plain"] == 530, "takes mail without TLS"
    assert found["relay"] in range(500, 600), "takes mail without a log-in"


def test_imap_takes_passwords_over_tls_alone(ask):
    found = ask("imap", DOVECOT)
    assert "LOGINDISABLED" in found["before"] and "STARTTLS" in found["before"]
    assert not [word for word in found["before"] if word.startswith("AUTH=")]


def test_old_tls_is_refused(ask):
    """RFC 8996: TLS 1.0 and 1.1 must not be used."""
    old = {
        name: ask(name, service) for name, service in (("old_tls_smtp", POSTFIX), ("old_tls_imap", DOVECOT))
    }
    assert old == {"old_tls_smtp": False, "old_tls_imap": False}


def test_certificates_stay_valid_long_enough(ask, expected, figure):
    """Inside, an expired certificate stops mail: make setup renews it below 30 days."""
    days = {}
    for name, service in (("inbound", POSTFIX), ("submissions", POSTFIX), ("imap", DOVECOT)):
        found = ask(name, service)
        days[name] = found["days"]
        figure("Certificates", name, found["days"], None, "days left")
        assert found["protocol"] >= expected["oldest_tls"]
    assert {name: left for name, left in days.items() if left < expected["certificate_days"]} == {}


@pytest.mark.parametrize("site", list(SITES))
def test_a_site_answers_with_its_log_in_form(ask, expected, site):
    found, wanted = ask(site, WEB, SITES[site]), expected["http"][site]
    assert found["status"] == wanted["status"] and wanted["text"] in found["text"]


@pytest.mark.parametrize("site", list(SITES))
def test_a_site_sends_the_headers_that_protect_its_readers(ask, expected, site):
    headers = {name.lower(): value for name, value in ask(site, WEB, SITES[site])["headers"].items()}
    wanted = expected["http"][site]["headers"]
    missing = [name for name, text in wanted.items() if not re.match(text, headers.get(name.lower(), ""))]
    told = [name for name in expected["never_told"] if name.lower() in headers]
    assert missing == [] and told == []


def test_web_does_not_tell_what_it_runs(ask):
    assert not re.search(r"\d", ask("webmail", WEB, "roundcube")["headers"].get("Server", ""))


def test_an_unknown_host_name_gets_no_answer(ask):
    """Scanners ask by address or by any name."""
    assert ask("unknown", WEB)["status"] == 0


def test_the_api_takes_no_mail_without_its_token(ask):
    assert [ask(f"api_{name}") for name in ("without_token", "wrong_token")] == [401, 401]
