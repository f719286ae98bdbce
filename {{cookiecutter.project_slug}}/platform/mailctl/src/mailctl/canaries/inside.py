"""What the canaries do, inside the network of the edge: read by `run.py`, run in mailserver-api's container.

Only Python's own library. It gets a JSON document on standard input and prints one; each canary is tried
again until it works or its time is over, as a service may only just have got a new address.
"""

import http.client
import imaplib
import json
import smtplib
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

SECRETS = "/run/secrets/"


FAILURES = (OSError, ValueError, imaplib.IMAP4.error, smtplib.SMTPException, http.client.HTTPException)


def trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=SECRETS + "internal_ca_crt")


def post(wanted: dict[str, Any], raw: str) -> tuple[int, str]:
    """Hand a mail to the API as the Email Worker does."""
    with open(SECRETS + "mailserver_api_tokens") as file:
        token = file.read().split()[0]
    headers = {
        "Authorization": "Bearer " + token,
        "Content-Type": "message/rfc822",
        "X-Envelope-From": wanted["address"],
        "X-Envelope-To": wanted["address"],
    }
    request = urllib.request.Request("http://mailserver-api:8000/v1/messages", raw.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:  # noqa: S310 (the address above)
            return answer.status, answer.read(200).decode("utf-8", "replace").strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read(200).decode("utf-8", "replace").strip()


def mailbox(wanted: dict[str, Any]) -> imaplib.IMAP4:
    session = imaplib.IMAP4("dovecot", 31143, timeout=20)
    session.starttls(trusted())
    session.login(wanted["address"], wanted["password"])
    return session


def take(session: imaplib.IMAP4, number: str) -> str:
    """Remove the mail with that Message-ID; the folder it was in, empty when it is not there."""
    for folder in ("INBOX", "Junk"):
        if session.select(folder)[0] != "OK":
            continue
        found = session.search(None, "HEADER", "Message-ID", number)[1][0].split()
        if found:
            session.store(b",".join(found).decode(), "+FLAGS", r"(\Deleted)")
            session.expunge()
            return folder
    return ""


def mail(wanted: dict[str, Any]) -> str:
    if not wanted.get("accepted"):
        status, said = post(wanted, wanted["mail"])
        if status != 200:
            raise ValueError(f"mailserver-api answers {status}: {said}")
        wanted["accepted"] = True  # one that is on its way is not sent again
    session = mailbox(wanted)
    try:
        folder = take(session, wanted["mail_id"])
    finally:
        session.logout()
    if not folder:
        raise ValueError("was accepted, and is not in the mailbox")
    return f"accepted by mailserver-api, read over IMAP in {folder}"


def virus(wanted: dict[str, Any]) -> str:
    status, said = post(wanted, wanted["virus"])
    if status == 200:
        raise PermissionError("a virus was accepted")
    if status != 422:
        raise ValueError(f"mailserver-api answers {status}: {said}")
    return "a virus is refused"


def login(wanted: dict[str, Any]) -> str:
    mailbox(wanted).logout()
    with smtplib.SMTP("postfix", 587, timeout=20) as session:
        session.starttls(context=trusted())
        session.login(wanted["address"], wanted["password"])
    return "IMAP and submission take the password"


def page(host: str, path: str, mark: str) -> str:
    session = http.client.HTTPConnection("nginx", 80, timeout=20)
    session.request("GET", path, headers={"Host": host, "X-Forwarded-Proto": "https"})
    answer = session.getresponse()
    text = answer.read(200_000).decode("utf-8", "replace")
    if answer.status != 200 or mark not in text:
        raise ValueError(f"{host}{path} answers {answer.status}, without a log-in form")
    return f"{host} shows its log-in form"


def webmail(wanted: dict[str, Any]) -> str:
    return page(wanted["webmail_host"], "/", "_user")


def admin(wanted: dict[str, Any]) -> str:
    return "; ".join([page(host, "/login", "password") for host in wanted["account_hosts"]])


def attempt(name: str, wanted: dict[str, Any], results: dict[str, Any]) -> None:
    """Try one until it works, for at most `limit` seconds; what is certain is not tried again."""
    began, pause = time.monotonic(), threading.Event()
    while True:
        ok, certain = True, False
        try:
            detail = globals()[name](wanted)
        except FAILURES as e:
            ok, detail = False, str(e) or type(e).__name__
            unknown = "AUTHENTICATIONFAILED" in detail and not wanted["made"]
            certain = isinstance(e, PermissionError) or unknown
        seconds = time.monotonic() - began
        if ok or certain or seconds > wanted["limit"]:
            results[name] = {"ok": ok, "seconds": round(seconds, 2), "detail": detail[:300]}
            return
        pause.wait(0.5)


def main() -> None:
    wanted = json.load(sys.stdin)
    results: dict[str, Any] = {}
    threads = [threading.Thread(target=attempt, args=(n, wanted, results)) for n in wanted["names"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(results))


main()
