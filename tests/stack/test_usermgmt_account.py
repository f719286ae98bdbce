"""Somebody with a mailbox looks after it on the account page; what that does to IMAP."""

from __future__ import annotations

import imaplib
import re
import time

from tests.stack.clients import PASSWORD, Accounts, Mailbox, Mailboxes, visitor
from tests.stack.stack import Stack, eventually


def opens(box: Mailbox) -> bool:
    """Whether IMAP takes the password."""
    try:
        return box.imap.noop()[0] == "OK"
    except imaplib.IMAP4.error:
        return False


def test_an_app_password_and_a_password_of_ones_own_act_on_imap_within_two_seconds(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    reader = mailboxes.new()
    owner = Accounts.of_reader(stack.info, reader.address)
    assert owner.http.get("domains").status_code == 404, "not the pages of administration"

    shown = owner.submit("account", "account/app-passwords", name="Phone", old_password=PASSWORD).text
    app_password = re.search(r"<code>([\w-]{23})</code>", shown)
    assert app_password
    assert opens(Mailbox(reader.address, stack.info, app_password[1]))
    number = re.search(r"account/app-passwords/(\d+)/delete", owner.http.get("account").text)
    assert number
    owner.submit("account", f"account/app-passwords/{number[1]}/delete")
    eventually(lambda: not opens(Mailbox(reader.address, stack.info, app_password[1])), 2)

    new = "seven cold lanterns upstream"
    assert reader.imap.noop()[0] == "OK"
    owner.submit("account", "account/password", old_password=PASSWORD, password=new, again=new)
    eventually(lambda: not opens(reader), 2)
    eventually(lambda: opens(Mailbox(reader.address, stack.info, new)), 2)
    assert owner.http.get("account").url.path.endswith("/account"), "this browser stays logged in"


def test_a_password_link_acts_on_imap_and_the_list_shows_what_is_stored(
    stack: Stack, mailboxes: Mailboxes, accounts: Accounts
) -> None:
    reader = mailboxes.new()
    assert reader.imap.noop()[0] == "OK"
    page = accounts.http.get("mailboxes", params={"q": reader.address}).text
    assert re.search(r"[\d.]+[KMG] of [\d.]+[MG]", page), "Dovecot says how full it is"
    number = re.search(r"mailboxes/(\d+)\"", page)
    assert number
    page, asked = f"mailboxes/{number[1]}", {"password_kind": "link"}
    shown = accounts.submit(page, f"{page}/password", **asked).text
    link = re.search(rf">{stack.info['account_page']}(password\?link=([\w-]+))<", shown)
    assert link and opens(Mailbox(reader.address, stack.info, PASSWORD))
    new = "seven cold lanterns upstream"
    assert accounts.http.get(link[1]).status_code == 404, "it is for the other site"
    with visitor(stack.info["account_page"]) as somebody:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', somebody.get(link[1]).text)
        assert token
        form = {"csrf_token": token[1], "link": link[2], "password": new, "again": new}
        assert "Your password was set." in somebody.post("password", data=form).text
    eventually(lambda: not opens(reader), 2)
    eventually(lambda: opens(Mailbox(reader.address, stack.info, new)), 2)


def test_the_page_of_a_domain_shows_the_records_of_the_edge(accounts: Accounts) -> None:
    number = re.search(r"domains/(\d+)\"", accounts.http.get("domains").text)
    assert number and "v=spf1 " in accounts.http.get(f"domains/{number[1]}").text


#: Runs in a container: tries each password by each protocol, all at once; prints which were taken.
GUESS = """import base64, concurrent.futures, imaplib, smtplib, socket, ssl, sys
trusted = ssl.create_default_context(cafile="/run/secrets/internal_ca_crt")

def imap(password):
    session = imaplib.IMAP4("dovecot", 31143)
    session.starttls(trusted)
    session.login(sys.argv[1], password)

def submission(password):
    with smtplib.SMTP("postfix", 587) as session:
        session.starttls(context=trusted)
        session.login(sys.argv[1], password)

def sieve(password):
    def answer(session, words=b""):
        session.sendall(words)
        lines = iter(session.makefile("rb").readline, b"")
        return next(line for line in lines if line.startswith((b"OK", b"NO", b"BYE")))
    plain = socket.create_connection(("dovecot", 34190))
    answer(plain)
    answer(plain, b"STARTTLS\\r\\n")
    session = trusted.wrap_socket(plain, server_hostname="dovecot")
    answer(session)
    secret = base64.b64encode(f"\\0{sys.argv[1]}\\0{password}".encode())
    if not answer(session, b'AUTHENTICATE "PLAIN" "' + secret + b'"\\r\\n').startswith(b"OK"):
        raise imaplib.IMAP4.error("refused")

def tried(way, password):
    try:
        way(password)
        return way.__name__ + " " + password
    except (imaplib.IMAP4.error, smtplib.SMTPException):
        return ""

ways = [globals()[name] for name in sys.argv[2:]]
tries = [(way, line) for line in sys.stdin.read().splitlines() for way in ways]
with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
    print(*filter(None, pool.map(tried, *zip(*tries))), sep="\\n")
"""


def taken(
    stack: Stack,
    address: str,
    *passwords: str,
    service: str = "mailserver-api",
    ways: tuple[str, ...] = ("imap", "submission"),
) -> list[str]:
    """Which passwords are taken from another container, which has an address of its own."""
    words = ("python3", "-c", GUESS, address, *ways)
    return stack.exec(service, *words, stdin="\n".join(passwords)).strip().splitlines()


def test_who_guesses_is_held_everywhere_and_the_owner_is_not(stack: Stack, mailboxes: Mailboxes) -> None:
    reader = mailboxes.new()
    assert reader.imap.noop()[0] == "OK"
    assert taken(stack, reader.address, *(f"a wrong password {number}" for number in range(10))) == []
    assert taken(stack, reader.address, PASSWORD) == [], "the right one is held as well"
    assert opens(Mailbox(reader.address, stack.info)), "from where she logged in before"
    owner = Accounts.of_reader(stack.info, reader.address)
    page = owner.http.get("account").text
    # Five, and what is asked at the same moment; of the other half nothing was kept.
    assert 5 <= page.count("Log-in attempt") <= 8 and "Mail program (" in page
    shown = owner.submit("account", "account/app-passwords", name="Phone", old_password=PASSWORD).text
    app_password = re.search(r"<code>([\w-]{23})</code>", shown)
    assert app_password
    both = [f"imap {app_password[1]}", f"submission {app_password[1]}"]
    assert taken(stack, reader.address, app_password[1]) == both


def test_people_get_in_while_usermgmt_does_not_answer(stack: Stack, mailboxes: Mailboxes) -> None:
    reader = mailboxes.new()
    stack.docker("pause", "usermgmt")
    try:
        started = time.monotonic()
        assert opens(reader)
        assert time.monotonic() - started < 6, "each question waits a second"
    finally:
        stack.docker("unpause", "usermgmt")
