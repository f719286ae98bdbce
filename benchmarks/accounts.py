"""The pages of mailboxes at 100, 1,000 and 10,000 of them, on a real MariaDB."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PART = ROOT / "{{cookiecutter.project_slug}}" / "platform" / "usermgmt"
SIZES = (100, 1000, 10000)
# Other work on the machine only adds time: the least of the rounds is the nearest to what a request takes.
ROUNDS = 100
# Each needs a mailbox of its own: at 100 there are no more.
WRITING_ROUNDS = {"create": 20, "delete": 20}
PASSWORD = "seven cold lanterns upstream"  # noqa: S105


class Measured(NamedTuple):
    """One kind of request at one size: queries of most, least seconds, bytes of the answer."""

    queries: int
    seconds: float
    size: int


def measure() -> dict[str, dict[int, Measured]]:
    """What each kind of request takes at each size."""
    sys.path[:0] = [str(PART), str(ROOT / "tests" / "usermgmt"), str(ROOT)]
    from support import ADMIN_PASSWORD, Browser, mariadb_server

    from usermgmt.app import create_app
    from usermgmt.parts import EXTENSION
    from usermgmt.settings import Settings

    found: dict[str, dict[int, Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="um") as folder, mariadb_server(Path(folder)) as server:
        settings = Settings(
            database_url=server.url("usermgmt"),
            session_key="k" * 64,
            account_host="account.localhost",
            admin_host="localhost",
            proxy_host="192.0.2.1",
            admin_email="admin@example.org",
            admin_password=ADMIN_PASSWORD,
            cookie_secure=False,
            cheap_hashes=True,
        )
        app = create_app(settings)
        database = app.extensions[EXTENSION].database
        browser = Browser(app)
        expect(browser.log_in(), 303)
        for size in SIZES:
            fill(database, size)
            for name, one in at(browser, database, size).items():
                found.setdefault(name, {})[size] = one
        database.engine.dispose()
    return found


def expect(answer: Any, *statuses: int) -> None:
    """Raise RuntimeError for any other answer: its time would say nothing."""
    if answer.status_code not in statuses:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")


def fill(database: Any, size: int) -> None:
    """Mailboxes up to `size`, of people with names, in four domains, and an alias for each."""
    from sqlalchemy import func, insert, select

    from usermgmt.models import Alias, Domain, Mailbox, MailboxUsage

    with database.transaction() as session:
        names = [f"d{number}.example" for number in range(4)]
        if not session.scalar(select(func.count(Domain.id))):
            session.execute(insert(Domain), [{"name": name} for name in names])
        numbers = dict(session.execute(select(Domain.name, Domain.id)).all())
        there = session.scalar(select(func.count(Mailbox.id)))
        rows = [
            {
                "domain_id": numbers[names[number % 4]],
                "email": f"person{number:05}@{names[number % 4]}",
                "password_hash": "x",
                "display_name": f"Given{number % 97} Family{number}",
                "quota_bytes": 2**30,
            }
            for number in range(there, size)
        ]
        session.execute(insert(Mailbox), rows)
        ids = session.scalars(select(Mailbox.id).order_by(Mailbox.id.desc()).limit(len(rows))).all()
        usage = [{"mailbox_id": each, "used_bytes": each * 7919 % 2**31} for each in ids]
        session.execute(insert(MailboxUsage), usage)
        session.execute(insert(Alias), [alias_beside(row) for row in rows])


def alias_beside(mailbox: dict[str, Any]) -> dict[str, Any]:
    """An alias that does not keep the mailbox from being deleted."""
    address = mailbox["email"]
    return {"domain_id": mailbox["domain_id"], "source": f"team-{address}", "destination": f"of-{address}"}


def at(browser: Any, database: Any, size: int) -> dict[str, Measured]:
    """Every kind of request with as many mailboxes."""
    from sqlalchemy import event, select

    from usermgmt.models import Mailbox

    counted: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *words: counted.append(words[2]))

    def number_of(email: str) -> int:
        with database.transaction() as session:
            return int(session.scalars(select(Mailbox.id).where(Mailbox.email == email)).one())

    def create(turn: int) -> Any:
        form = {"quota": "1G", "password_kind": "chosen", "password": PASSWORD}
        return browser.post("/mailboxes", email=f"new{size}x{turn}@d0.example", **form)

    kinds = {
        "list, first page": lambda turn: browser.get("/mailboxes"),
        "list, last page": lambda turn: browser.get(f"/mailboxes?page={size // 50}"),
        "search, one found": lambda turn: browser.get(f"/mailboxes?q=family{size - 1 - turn % 20}"),
        "search, nothing found": lambda turn: browser.get("/mailboxes?q=nobody-of-that-name"),
        "search, all found": lambda turn: browser.get("/mailboxes?q=person"),
        "sorted by use, backwards": lambda turn: browser.get("/mailboxes?sort=-used"),
        "sorted by last log-in, last page": lambda turn: browser.get(
            f"/mailboxes?sort=login&page={size // 50}"
        ),
        "sorted by name, of a domain": lambda turn: browser.get("/mailboxes?sort=name&domain=d1.example"),
        "filtered, never logged in": lambda turn: browser.get("/mailboxes?state=never&domain=d2.example"),
        "filtered, full": lambda turn: browser.get("/mailboxes?state=full"),
        "all of a filter, the question": lambda turn: browser.post(
            "/mailboxes/selected/active", all="yes", active="no", state="enabled"
        ),
        "domains, sorted by storage": lambda turn: browser.get("/domains?sort=-given"),
        "one mailbox": lambda turn: browser.get(f"/mailboxes/{size // 2}"),
        "one domain": lambda turn: browser.get("/domains/1"),
        "aliases, list": lambda turn: browser.get("/aliases"),
        "aliases, sorted by destinations": lambda turn: browser.get("/aliases?sort=-destinations"),
        "aliases, disabled ones of a domain": lambda turn: browser.get(
            "/aliases?state=disabled&domain=d1.example"
        ),
        "aliases, search, nothing found": lambda turn: browser.get("/aliases?q=nobody-of-that-name"),
        "aliases, search, all found": lambda turn: browser.get("/aliases?q=person"),
        "create": create,
        "delete": lambda turn: browser.post(
            f"/mailboxes/{number_of(f'person{turn + size // 2:05}@d{(turn + size // 2) % 4}.example')}/delete"
        ),
    }
    found = {}
    for name, ask in kinds.items():
        queries, seconds, sizes = [], [], []
        for turn in range(WRITING_ROUNDS.get(name, ROUNDS)):
            counted.clear()
            start = perf_counter()
            answer = ask(turn)
            seconds.append(perf_counter() - start)
            expect(answer, 200, 303)
            queries.append(len(counted))
            sizes.append(len(answer.get_data()))
        found[name] = Measured(statistics.mode(queries), min(seconds), max(sizes))
    return found
