"""Runs in a container on all networks of the services: sends mail all along, and probes every service.

Writes JSON lines into /watch: `mails` the result of each mail, `probes` each change of a service between up
and down. Stops when /watch/stop is there. Needs the standard library only.
"""

import http.client
import json
import socket
import sys
import threading
import time
from pathlib import Path

FOLDER = Path("/watch")
EVERY_MAIL, EVERY_PROBE, LONGEST_RETRY = 1.0, 0.1, 10.0
# What is down refuses, hangs up or has no address, at once; what is up may be slow on a busy machine.
LONGEST_ANSWER = 5.0
MAIL = "From: a@b.example\r\nTo: {to}\r\nSubject: {id}\r\nMessage-ID: <{id}@b.example>\r\n\r\nhello {id}\r\n"
# What makes a service say something, and how its answer begins or what is in it.
DNS = b"\0\x20\0\1\1\0\0\1\0\0\0\0\0\0\6health\7invalid\0\0\x10\0\1"
HTTP = b"GET %s HTTP/1.0\r\nHost: nginx\r\n\r\n"
PROBES = {
    "mariadb": (3306, b"", b"MariaDB"),
    "dovecot": (31143, b"", b"* OK"),
    "postfix": (25, b"", b"220 "),
    "valkey": (6379, b"PING\r\n", b"NOAUTH"),
    "unbound": (53, DNS, b"ok"),
    "clamav": (3310, b"zPING\0", b"PONG"),
    "rspamd": (11334, HTTP % b"/ping", b"pong"),
    "roundcube": (8000, HTTP % b"/robots.txt", b"HTTP/1"),
    "mailserver-api": (8000, HTTP % b"/health", b"200"),
    "usermgmt": (8080, HTTP % b"/health", b"HTTP/1"),
    "nginx": (80, HTTP % b"/healthz", b"200"),
}
LOCK = threading.Lock()


def note(name: str, **values: object) -> None:
    with LOCK, (FOLDER / name).open("a") as file:
        file.write(json.dumps({"at": time.time(), **values}) + "\n")


def over() -> bool:
    return (FOLDER / "stop").exists()


def answers(service: str) -> bool | None:
    """Whether a service says what it should; None: it took too long."""
    port, question, answer = PROBES[service]
    began = time.monotonic()
    try:
        with socket.create_connection((service, port), timeout=LONGEST_ANSWER) as connection:
            connection.sendall(question)
            return answer in connection.recv(4096)
    except TimeoutError:
        return None
    except OSError:
        # Who looked up a name for too long hears of another error.
        return None if time.monotonic() - began >= LONGEST_ANSWER else False


def probe(service: str) -> None:
    """Note each change; the down time lasts from the last answer before it to the first one after it."""
    while not answers(service) and not over():
        time.sleep(EVERY_PROBE)  # this container is not on all networks yet
    was, last, good = True, time.time(), 0
    note("probes", service=service, up=True)
    while not over():
        began = time.time()
        up = answers(service)
        up = was if up is None else up
        good += up
        if up and not was:
            note("probes", service=service, up=True, down=began - last)
        elif was and not up:
            note("probes", service=service, up=False)
        was, last = up, began if up else last
        time.sleep(max(0.0, EVERY_PROBE - (time.time() - began)))
    note("probes", service=service, up=was, good=good)


def post(mail: bytes, to: str) -> int:
    """Hand a mail to mailserver-api as the edge does; the status, 0 when nothing answers."""
    token = Path("/token").read_text().split()[0]
    headers = {"Authorization": f"Bearer {token}", "X-Envelope-From": "a@b.example", "X-Envelope-To": to}
    connection = http.client.HTTPConnection("mailserver-api", 8000, timeout=60)
    try:
        connection.request("POST", "/v1/messages", mail, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def deliver(id: str, to: str) -> None:
    """What a sender does: try until it is accepted or refused for good."""
    mail, tries = MAIL.format(id=id, to=to).encode(), 0
    while True:
        tries += 1
        status = post(mail, to)
        if status == 200 or status in (404, 413, 422):
            note("mails", id=id, status=status, tries=tries)
            return
        time.sleep(min(LONGEST_RETRY, 2.0**tries / 2))


def main() -> None:
    if over():
        return  # the engine starts it again when it has ended, too: all is noted by then
    to, name, what = sys.argv[1:]
    # The engine may start this again in the middle.
    name = f"{name}-{int(time.time())}"
    threads = [threading.Thread(target=probe, args=(service,)) for service in PROBES if what == "probe"]
    for thread in threads:
        thread.start()
    number = 0
    while not over():
        number += 1
        threads = [each for each in threads if each.is_alive()]
        threads.append(threading.Thread(target=deliver, args=(f"{name}-{number}", to)))
        threads[-1].start()
        time.sleep(EVERY_MAIL)
    for thread in threads:
        thread.join()
    note("mails", id="all", status=number, tries=0)


if __name__ == "__main__":
    main()
