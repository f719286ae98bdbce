"""Who uses the server all the while: the edge, who sends, who reads, and one who writes into the database."""

from __future__ import annotations

import imaplib
import random
import smtplib
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from functools import partial
from itertools import pairwise
from time import monotonic
from uuid import uuid4

import httpx

from tests.stack.clients import PASSWORD, message

#: Writes and commits by the name that services use, and says so: run in usermgmt's container of a host.
DATABASE = """
import os, time, pymysql
from usermgmt.database import Database
from usermgmt.settings import database_url
from sqlalchemy import text
database = Database(database_url(os.environ))
while True:
    try:
        with database.transaction() as session:
            session.execute(text('UPDATE domains SET active = active'))
        print('written', flush=True)
    except Exception as error:
        database.engine.dispose()
    time.sleep(0.2)
"""
FAILURES = (OSError, imaplib.IMAP4.error, smtplib.SMTPException, httpx.HTTPError)


@dataclass
class Crowd:
    """Threads that go on until `over`; what each was promised, and when each last got what it wanted."""

    addresses: list[str]
    people: list[str]
    ca_file: str
    token: str
    #: Which mail the API has acknowledged, and to whom it goes; and which one the submission has.
    promised: dict[str, str] = field(default_factory=dict)
    submitted: dict[str, str] = field(default_factory=dict)
    #: For each kind of use the moments at which it worked.
    worked: dict[str, list[float]] = field(default_factory=dict)
    troubles: Counter[str] = field(default_factory=Counter)
    #: So that no subject is one of another crowd.
    name: str = field(default_factory=lambda: uuid4().hex[:6])
    over: threading.Event = field(default_factory=threading.Event)

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        context.check_hostname = False  # it is asked by its address here
        return context

    def anywhere(self) -> list[str]:
        """The hosts in any order: the next one is asked when one does not answer."""
        return random.sample(self.addresses, len(self.addresses))

    def post(self, subject: str, person: str) -> bool:
        """Give a mail to the API as the Worker does, at any host; it is given again until it is taken."""
        raw = message(subject, to=person).as_bytes().replace(b"\n", b"\r\n")
        headers = {"Authorization": f"Bearer {self.token}", "X-Envelope-From": "writer@sender.example"}
        headers |= {"X-Envelope-To": person, "Content-Type": "message/rfc822"}
        while not self.over.is_set():
            for address in self.anywhere():
                try:
                    url = f"http://{address}:8000/v1/messages"
                    answer = httpx.post(
                        url, content=raw, headers=headers, timeout=httpx.Timeout(30, connect=1)
                    )
                except httpx.HTTPError as error:
                    self.troubles[f"api: {type(error).__name__}"] += 1
                    continue
                if answer.status_code == 200:
                    self.promised[subject] = person
                    return True
                self.troubles[f"api: {answer.status_code}"] += 1
            self.over.wait(0.2)
        return False

    def submit(self, subject: str, sender: str, person: str) -> bool:
        """Send a mail as a mail program does, at the first host that answers. None is repeated."""
        mail = message(subject, sender=sender, to=person, received=False)
        for address in self.anywhere():
            try:
                smtp = smtplib.SMTP(address, 587, timeout=3)
            except OSError:
                continue
            with smtp:
                smtp.sock.settimeout(60)
                smtp.starttls(context=self.tls())
                smtp.login(sender, PASSWORD)
                smtp.sendmail(sender, person, mail.as_bytes())
            self.submitted[subject] = person
            return True
        return False

    def open(self, person: str) -> imaplib.IMAP4_SSL:
        """Log in at the first host that answers."""
        for address in self.anywhere():
            try:
                session = imaplib.IMAP4_SSL(address, 993, ssl_context=self.tls(), timeout=3)
            except OSError:
                continue
            session.sock.settimeout(20)
            session.login(person, PASSWORD)
            return session
        raise OSError("no host takes log-ins")

    def read(self, person: str) -> bool:
        with self.open(person) as session:
            return session.select()[0] == "OK"

    def subjects(self, person: str) -> Counter[str]:
        """How often each subject is in the mailbox."""
        with self.open(person) as session:
            found: Counter[str] = Counter()
            for folder in ("INBOX", "Junk"):
                status, count = session.select(folder, readonly=True)
                if status != "OK" or count == [b"0"]:
                    continue
                _, parts = session.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
                found.update(
                    message_from_bytes(each[1])["Subject"] for each in parts if isinstance(each, tuple)
                )
            return found

    def head(self, person: str, subject: str) -> Message:
        """The head of a mail in the INBOX."""
        with self.open(person) as session:
            session.select(readonly=True)
            number = session.search(None, "SUBJECT", f'"{subject}"')[1][0].split()[-1]
            return message_from_bytes(session.fetch(number, "(BODY.PEEK[HEADER])")[1][0][1])

    def lacking(self) -> dict[str, int]:
        """What is not where it should be: subject and how often it is there.

        A mail of the API is there once; a submitted one at least once, as its delivery may be repeated.
        """
        there = {person: self.subjects(person) for person in self.people}
        found = {each: there[to][each] for each, to in self.promised.items() if there[to][each] != 1}
        return found | {each: 0 for each, to in self.submitted.items() if not there[to][each]}

    def gap(self, use: str, since: float) -> float:
        """The longest time without success, in seconds, of a use since a moment."""
        moments = [since, *(each for each in self.worked[use] if each >= since), monotonic()]
        return max(after - before for before, after in pairwise(moments))


@contextmanager
def busy(crowd: Crowd, writers: Mapping[str, list[str]]) -> Iterator[Crowd]:
    """Let everybody begin; `writers` are commands that run DATABASE, by the names of their uses."""
    number = iter(range(1_000_000))

    def until_over(use: str, work: Callable[[], bool]) -> None:
        while not crowd.over.wait(0.3):
            try:
                if work():
                    crowd.worked[use].append(monotonic())
            except FAILURES as error:
                crowd.troubles[f"{use}: {type(error).__name__}"] += 1

    def listen(use: str, process: subprocess.Popen[str]) -> None:
        for _ in process.stdout or ():
            crowd.worked[use].append(monotonic())

    def post(person: str) -> bool:
        return crowd.post(f"posted {crowd.name} {next(number)}", person)

    def submit(person: str) -> bool:
        return crowd.submit(f"sent {crowd.name} {next(number)}", person, person)

    kinds: dict[str, Callable[[str], bool]] = {"read": crowd.read, "api": post, "submission": submit}
    uses = {f"{kind} {each}": partial(do, each) for kind, do in kinds.items() for each in crowd.people}
    processes = {
        use: subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for use, words in writers.items()
    }
    crowd.over.clear()
    crowd.worked.update({use: [] for use in (*uses, *writers)})
    threads = [threading.Thread(target=until_over, args=each) for each in uses.items()]
    threads += [threading.Thread(target=listen, args=each) for each in processes.items()]
    for thread in threads:
        thread.start()
    try:
        yield crowd
    finally:
        crowd.over.set()
        for process in processes.values():
            process.kill()
        for thread in threads:
            thread.join()
