"""What the canaries do, inside the network of the edge: read by `run.py`, run in mailserver-api's container.

Only Python's own library. It gets a JSON document on standard input and prints one; each canary is tried
again until it works or its time is over, as a service may only just have got a new address.
"""

import contextlib
import hashlib
import http.client
import imaplib
import json
import re
import smtplib
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

SECRETS = "/run/secrets/"
# The folder of the mail that is always there, and that mail.
FOLDER = "Canary"
OLD = "Subject: Known canary of mailctl\r\nMessage-ID: <%s@mailctl-canary.test>\r\n\r\nIt must stay.\r\n"

# What is no more than a mail to the API: what arrives, and what is refused with which status.
ARRIVING = {"alias": "mail to an alias", "catch-all": "mail to the catch-all of a domain"}
REFUSED = {
    "virus": ("a virus", 422),
    "unknown": ("a mail to nobody", 404),
    "quota": ("a mail to a full mailbox", 507),
}
FAILURES = (OSError, ValueError, imaplib.IMAP4.error, smtplib.SMTPException, http.client.HTTPException)


def trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=SECRETS + "internal_ca_crt")


def post(wanted: dict[str, Any], mail: dict[str, str]) -> tuple[int, str]:
    """Hand a mail to the API as the Email Worker does."""
    with open(SECRETS + "mailserver_api_tokens") as file:
        token = file.read().split()[0]
    headers = {
        "Authorization": "Bearer " + token,
        "Content-Type": "message/rfc822",
        "X-Envelope-From": mail["sender"],
        "X-Envelope-To": mail["to"],
        "X-Canary-Pass": wanted["pass"] or "",
    }
    request = urllib.request.Request("http://mailserver-api:8000/v1/messages", mail["raw"].encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:  # noqa: S310 (the address above)
            return answer.status, answer.read(200).decode("utf-8", "replace").strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read(200).decode("utf-8", "replace").strip()


def imap(wanted: dict[str, Any]) -> imaplib.IMAP4:
    try:
        session = imaplib.IMAP4("dovecot", 31143, timeout=20)
    except ConnectionRefusedError:
        # While mail is held this one may be closed; the other is the canaries' own (dovecot.conf).
        if not wanted.get("pass"):
            raise
        session = imaplib.IMAP4("dovecot", 31144, timeout=20)
    session.starttls(trusted())
    return session


def mailbox(wanted: dict[str, Any], which: str = "password") -> imaplib.IMAP4:
    session = imap(wanted)
    session.login(wanted["address"], wanted[which])
    return session


def submission(wanted: dict[str, Any], which: str = "password") -> smtplib.SMTP:
    session = smtplib.SMTP("postfix", 587, timeout=20)
    session.starttls(context=trusted())
    if which:
        session.login(wanted["address"], wanted[which])
    return session


def remove(session: imaplib.IMAP4, numbers: list[bytes]) -> None:
    if numbers:
        session.store(b",".join(numbers).decode(), "+FLAGS", r"(\Deleted)")
        session.expunge()


def take(wanted: dict[str, Any], mark: str) -> tuple[str, str]:
    """Remove the mail with that mark; the folder it was in, and its header. Raises ValueError."""
    with mailbox(wanted) as session:
        for folder in ("INBOX", "Junk"):
            is_there = session.select(folder)[0] == "OK"
            if found := is_there and session.search(None, "HEADER", "X-Canary", mark)[1][0].split():
                # Answers about other mails may come between.
                parts = session.fetch(found[0].decode(), "(BODY.PEEK[HEADER])")[1]
                header = b"".join(part[1] for part in parts if isinstance(part, tuple))
                remove(session, found)
                return folder, header.decode("ascii", "replace")
    raise ValueError("was accepted, and is not in the mailbox")


def sweep(wanted: dict[str, Any]) -> None:
    """Remove what a killed run left; what is younger may be on its way."""
    with contextlib.suppress(*FAILURES), mailbox(wanted) as session:
        for folder in ("INBOX", "Junk"):
            if session.select(folder)[0] == "OK":
                remove(session, session.search(None, 'HEADER X-Canary "" OLDER 120')[1][0].split())


def arrival(wanted: dict[str, Any], name: str) -> tuple[str, str]:
    mail = wanted["mails"][name]
    if not mail.get("accepted"):
        status, said = post(wanted, mail)
        if status != 200:
            raise ValueError(f"mailserver-api answers {status}: {said}")
        mail["accepted"] = True  # one that is on its way is not sent again
    return take(wanted, mail["mark"])


def refusal(wanted: dict[str, Any], name: str) -> str:
    what, code = REFUSED[name]
    status, said = post(wanted, wanted["mails"][name])
    if status == 200:
        raise PermissionError(f"{what} was accepted")
    if status != code:
        raise ValueError(f"mailserver-api answers {status}: {said}")
    return f"{what} is refused with {status}"


def mail(wanted: dict[str, Any]) -> str:
    if wanted["unsigned"]:
        raise PermissionError(wanted["unsigned"])
    return f"accepted by mailserver-api, read over IMAP in {arrival(wanted, 'mail')[0]}"


def junk(wanted: dict[str, Any]) -> str:
    if wanted["junk_action"] != "add header":
        return f"left out: rspamd says '{wanted['junk_action']}' to the mail that should look like spam"
    folder, _ = arrival(wanted, "junk")
    if folder != "Junk":
        raise PermissionError(f"a mail that looks like spam is in {folder}")
    return "a mail that looks like spam is in Junk"


def refused(session: smtplib.SMTP, sender: str, recipient: str, codes: range, what: str) -> None:
    """Ask for a recipient and send nothing. Raises PermissionError when it is taken."""
    with session:
        session.ehlo_or_helo_if_needed()
        code, said = session.mail(sender)
        if code == 250:
            code, said = session.rcpt(recipient)
    if code == 250:
        raise PermissionError(f"{what} is accepted")
    if code not in codes:
        raise ValueError(f"{what}: Postfix answers {code} {said.decode('ascii', 'replace')}")


def inbound() -> smtplib.SMTP:
    return smtplib.SMTP("postfix", 25, timeout=20)


def disabled(wanted: dict[str, Any]) -> str:
    refused(inbound(), "", wanted["off"], range(550, 551), "mail to a disabled mailbox")
    try:
        mailbox(wanted | {"address": wanted["off"]}).logout()
    except imaplib.IMAP4.error as error:
        if "AUTHENTICATIONFAILED" in str(error):
            return "a disabled mailbox gets no mail and nobody in"
        raise
    raise PermissionError("a disabled mailbox lets its owner in")


def relay(wanted: dict[str, Any]) -> str:
    me, stranger = wanted["address"], "somebody@elsewhere.test"
    refused(inbound(), me, stranger, range(554, 555), "relaying for strangers")
    refused(submission(wanted, ""), me, stranger, range(500, 600), "submission without a log-in")
    return "relaying for strangers and submission without a log-in are refused"


def sender(wanted: dict[str, Any]) -> str:
    what = "sending as somebody else"
    refused(submission(wanted), wanted["full"], wanted["address"], range(553, 554), what)
    return f"{what} is refused"


def signed(wanted: dict[str, Any]) -> str:
    mail = wanted["mails"]["signed"]
    if not mail.get("accepted"):
        with submission(wanted) as session:
            session.sendmail(mail["sender"], mail["to"], mail["raw"].encode())
        mail["accepted"] = True
    header = " ".join(take(wanted, mail["mark"])[1].split())
    tags = dict(re.findall(r"\b([ds])=([^;\s]+)", header.partition("DKIM-Signature:")[2]))
    if (tags.get("d"), [tags.get("s")]) != (wanted["domain"], wanted["selectors"]):
        raise PermissionError(
            f"a submitted mail is not signed for {wanted['domain']}: {tags or 'no signature'}"
        )
    return f"a submitted mail is signed for {tags['d']} by {tags['s']}"


def login(wanted: dict[str, Any], which: str = "password") -> str:
    mailbox(wanted, which).logout()
    submission(wanted, which).quit()
    return f"IMAP and submission take the {which.replace('_', ' ')}"


def app_password(wanted: dict[str, Any]) -> str:
    return login(wanted, "app_password")


def facts(session: imaplib.IMAP4) -> dict[str, Any]:
    """What is in the folder of the old mail; empty when that is nothing."""
    if session.select(FOLDER, readonly=True)[0] != "OK":
        return {}
    validity = int(session.response("UIDVALIDITY")[1][0] or 0)
    numbers = session.search(None, "ALL")[1][0].split()
    if not numbers:
        return {}
    parts = session.fetch(b",".join(numbers).decode(), "(UID FLAGS BODY.PEEK[])")[1]
    mails = [part for part in parts if isinstance(part, tuple)]
    flags = {flag.decode() for part in mails for flag in imaplib.ParseFlags(part[0])}
    return {
        "uidvalidity": validity,
        "messages": len(numbers),
        "flags": sorted(flags & {r"\Flagged", "$canary"}),
        "digest": hashlib.sha256(b"".join(part[1] for part in mails)).hexdigest(),
    }


def known(wanted: dict[str, Any]) -> str:
    """Compare the old mail with the past; where there is none, plant it if missing and say what it is."""
    with mailbox(wanted) as session:
        found = facts(session)
        if wanted["past"] is None and not found:
            session.create(FOLDER)
            session.append(FOLDER, r"(\Flagged $canary)", "", (OLD % wanted["run"]).encode())
            found = facts(session)
    if wanted["past"] is None:
        return json.dumps(found)
    past = wanted["past"]
    if wrong := [f"{key} {past[key]} is now {found.get(key)}" for key in past if found.get(key) != past[key]]:
        raise PermissionError("; ".join(wrong))
    return f"the old mail is there, byte for byte, with its flags and UIDVALIDITY {found['uidvalidity']}"


def get(host: str, path: str, scheme: str = "https") -> tuple[http.client.HTTPResponse, str]:
    session = http.client.HTTPConnection("nginx", 80, timeout=20)
    session.request("GET", path, headers={"Host": host, "X-Forwarded-Proto": scheme})
    answer = session.getresponse()
    return answer, answer.read(200_000).decode("utf-8", "replace")


def page(host: str, path: str, mark: str) -> str:
    answer, text = get(host, path)
    if answer.status != 200 or mark not in text:
        raise ValueError(f"{host}{path} answers {answer.status}, without a log-in form")
    return f"{host} shows its log-in form"


def webmail(wanted: dict[str, Any]) -> str:
    """The webmail sends to the log-in, which knows it and its address; and a token of it opens a mailbox.

    Nobody's password is needed: usermgmt gives a token for a canary on its command line, and for nobody else.
    """
    if not wanted["webmail_url"]:
        return page(wanted["webmail_host"], "/", "_user")
    site = urllib.parse.urlsplit(wanted["webmail_url"])
    sent = urllib.parse.urlsplit(get(site.netloc, "/", site.scheme)[0].headers["Location"] or "")
    if sent.path != "/oidc/authorize":
        raise ValueError(f"{site.netloc} does not send to the log-in")
    answer = get(sent.netloc, f"{sent.path}?{sent.query}", sent.scheme)[0]
    if answer.status != 302 or answer.headers["Location"] != "/login":
        raise ValueError(f"the log-in answers what {site.netloc} asks with {answer.status}")
    if wanted["token"].startswith("none: "):
        raise ValueError(f"usermgmt gives no token ({wanted['token'][6:]})")
    words = [f"user={wanted['token_user']}\x01auth=Bearer {wanted['token']}\x01\x01".encode()]
    with imap(wanted) as session:
        # Why a token is refused is said before that; the answer is empty.
        session.authenticate("XOAUTH2", lambda _: words.pop() if words else b"")
    return f"{site.netloc} sends to the log-in at {sent.netloc}, which knows it, and whose token opens IMAP"


def admin(wanted: dict[str, Any]) -> str:
    return "; ".join([page(host, "/login", "password") for host in wanted["account_hosts"]])


def once(name: str, wanted: dict[str, Any]) -> str:
    if name in REFUSED:
        return refusal(wanted, name)
    if name in ARRIVING:
        return f"{ARRIVING[name]} arrives in {arrival(wanted, name)[0]}"
    return str(globals()[name.replace("-", "_")](wanted))


def attempt(name: str, wanted: dict[str, Any], results: dict[str, Any]) -> None:
    """Try one until it works, for at most `limit` seconds; what is certain is not tried again."""
    began, pause = time.monotonic(), threading.Event()
    while True:
        ok, certain = True, False
        try:
            detail = once(name, wanted)
        except FAILURES as e:
            ok, detail, certain = False, str(e) or type(e).__name__, isinstance(e, PermissionError)
        seconds = time.monotonic() - began
        if ok or certain or seconds > wanted["limit"]:
            results[name] = {"ok": ok, "seconds": round(seconds, 2), "detail": detail[:300]}
            return
        pause.wait(0.5)


def main() -> None:
    wanted = json.load(sys.stdin)
    results: dict[str, Any] = {}
    threads = [threading.Thread(target=attempt, args=(n, wanted, results)) for n in wanted["names"]]
    threads.append(threading.Thread(target=sweep, args=(wanted,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(results))


main()
