"""Runs inside mailserver-api, which reaches every endpoint as the edge does, and prints what they answer.

Standard library only. Its argument is JSON: the host names of webmail and administration.
"""

import http.client
import imaplib
import json
import smtplib
import socket
import ssl
import sys
import time

CA = "/run/secrets/internal_ca_crt"
SECONDS = 15
STRANGER = "stranger@elsewhere.example"


def context(highest=None):
    """Trusts our own authority alone; `highest` forbids newer protocols, as an old client would."""
    made = ssl.create_default_context(cafile=CA)
    if highest:
        made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        made.maximum_version = highest
        made.set_ciphers("ALL:@SECLEVEL=0")
    return made


def facts(wrapped):
    """Protocol and days left of a connection's certificate."""
    ends = ssl.cert_time_to_seconds(wrapped.getpeercert()["notAfter"])
    return {"protocol": wrapped.version(), "days": int((ends - time.time()) // 86400)}


def inbound():
    """Port 25, as mailserver-api uses it."""
    with smtplib.SMTP("postfix", 25, timeout=SECONDS) as smtp:
        smtp.ehlo()
        offers = sorted(smtp.esmtp_features)
        verified = smtp.verify("postmaster")[0]
        smtp.starttls(context=context())
        tls = facts(smtp.sock)
        smtp.ehlo()
        smtp.mail(STRANGER)
        relayed = smtp.rcpt("victim@elsewhere.example")[0]
        return {"offers": offers, "vrfy": verified, "relay": relayed, **tls}


def greeting(host, port):
    """The first line that a server says."""
    with socket.create_connection((host, port), SECONDS) as line:
        return line.makefile("rb").readline().decode(errors="replace").strip()


def submission():
    with smtplib.SMTP("postfix", 587, timeout=SECONDS) as smtp:
        smtp.ehlo()
        before = "auth" in smtp.esmtp_features
        plain = smtp.docmd("MAIL", f"FROM:<{STRANGER}>")[0]
        smtp.starttls(context=context())
        tls = facts(smtp.sock)
        smtp.ehlo()
        after = "auth" in smtp.esmtp_features
        smtp.mail(STRANGER)
        return {
            "auth_before": before,
            "plain": plain,
            "auth_after": after,
            "relay": smtp.rcpt(STRANGER)[0],
            **tls,
        }


def submissions():
    with smtplib.SMTP_SSL("postfix", 465, timeout=SECONDS, context=context()) as smtp:
        return facts(smtp.sock)


def imap():
    with imaplib.IMAP4("dovecot", 31143, timeout=SECONDS) as mail:
        before = mail.capabilities
        mail.starttls(context())
        return {"before": before, **facts(mail.sock)}


def old_tls(host, port, start):
    """Whether a client that knows nothing newer than TLS 1.1 gets through."""
    with socket.create_connection((host, port), SECONDS) as line:
        file = line.makefile("rb")
        file.readline()
        for words in start:
            line.sendall(words)
            while (answer := file.readline())[3:4] == b"-":
                pass
            if not answer:
                return False
        try:
            with context(ssl.TLSVersion.TLSv1_1).wrap_socket(line, server_hostname=host):
                return True
        except OSError:
            return False


def page(name, path="/", method="GET"):
    """One page of nginx, asked for as the tunnel does."""
    line = http.client.HTTPConnection("nginx", 80, timeout=SECONDS)
    try:
        line.request(method, path, headers={"Host": name, "X-Forwarded-Proto": "https"})
        answer = line.getresponse()
        text = answer.read().decode(errors="replace")
        return {"status": answer.status, "headers": dict(answer.getheaders()), "text": text}
    except http.client.BadStatusLine:
        return {"status": 0, "headers": {}, "text": ""}
    finally:
        line.close()


def api(token):
    line = http.client.HTTPConnection("mailserver-api", 8000, timeout=SECONDS)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    line.request("POST", "/v1/messages", b"", {**headers, "X-Envelope-To": "a@b.example"})
    return line.getresponse().status


def asked(look, *words):
    """What it says, and how long it took; an error is an answer as well."""
    began = time.monotonic()
    try:
        found = {"answer": look(*words)}
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, http.client.HTTPException) as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    return {**found, "seconds": round(time.monotonic() - began, 3)}


HELLO = (b"EHLO probe\r\n", b"STARTTLS\r\n")


def main(names):
    print(
        json.dumps(
            {
                "inbound": asked(inbound),
                "banner": asked(greeting, "postfix", 25),
                "submission": asked(submission),
                "submissions": asked(submissions),
                "imap": asked(imap),
                "old_tls_smtp": asked(old_tls, "postfix", 587, HELLO),
                "old_tls_imap": asked(old_tls, "dovecot", 31143, (b"a STARTTLS\r\n",)),
                "webmail": asked(page, names["webmail"], "/"),
                "account": asked(page, names["account"], "/login"),
                "admin": asked(page, names["admin"], "/login"),
                "unknown": asked(page, "unknown.example"),
                "api_without_token": asked(api, ""),
                "api_wrong_token": asked(api, "wrong"),
            }
        )
    )


main(json.loads(sys.argv[1]))
