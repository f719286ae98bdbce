"""Fifty people at once at the pages of 10,000 mailboxes, and the whole list as mailctl asks for it.

The service runs as its container runs it (gunicorn.conf.py), without the container's limit of processor time:
what a page takes of that is printed beside the seconds. On an idle machine: python -m benchmarks.parallel
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from urllib.parse import urlencode

from benchmarks.accounts import PART, ROOT, fill

PEOPLE, ROUNDS, MAILBOXES, PORT = 50, 5, 10_000, 27080
PAGES = ("/mailboxes", "/mailboxes?q=family99", "/mailboxes?sort=-used", "/", "/domains", "/mailboxes/5000")
#: What pages may take at most: seconds of one alone, and bytes.
LIMITS = (0.15, 100_000)
START_SECONDS = 60
#: What gunicorn imports: the settings of this benchmark in place of those of the environment.
WSGI = """
from benchmarks.parallel import application
app = application({socket!r})
"""


def application(socket: str) -> object:
    """The application on the database at a socket."""
    sys.path[:0] = [str(PART), str(ROOT / "tests" / "usermgmt")]
    from support import ADMIN_EMAIL, ADMIN_PASSWORD, Server

    from usermgmt.app import create_app
    from usermgmt.inside import MarkInside
    from usermgmt.settings import Settings

    url = Server(Path(socket)).url("usermgmt")
    people = {"admin_email": ADMIN_EMAIL, "admin_password": ADMIN_PASSWORD}
    app = create_app(Settings(url, "k" * 64, "account.localhost", "localhost", cookie_secure=False, **people))
    return MarkInside(app.wsgi_app)


@contextmanager
def service(folder: Path, socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service at PORT, and inside at a socket in `folder`, until the end."""
    (folder / "served.py").write_text(WSGI.format(socket=str(socket)))
    words = [sys.executable, "-m", "gunicorn", "-c", str(PART / "gunicorn.conf.py"), "served:app"]
    words += ["-b", f"127.0.0.1:{PORT}", "-b", f"unix:{folder}/inside"]
    path = os.pathsep.join((str(ROOT), str(folder), str(PART)))
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=log)
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            if running.poll() is not None or time.monotonic() > end:
                raise RuntimeError((folder / "log").read_text())
            try:
                get("/health", "")
                break
            except OSError:
                continue
        yield running
    finally:
        running.terminate()
        running.wait(30)


def ask(method: str, path: str, cookie: str, form: dict[str, str]) -> tuple[int, str, str]:
    """Status, text and the cookies that are set, of one request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", PORT, timeout=60)
    headers = {"Cookie": cookie, "Host": f"localhost:{PORT}"}
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, urlencode(form) if form else None, headers)
    answer = connection.getresponse()
    text, given = answer.read().decode(), answer.headers.get_all("Set-Cookie", [])
    connection.close()
    return answer.status, text, "; ".join(each.partition(";")[0] for each in given) or cookie


def get(path: str, cookie: str) -> tuple[float, int]:
    """Seconds and bytes of a page. Raises RuntimeError: it is not that page."""
    start = time.perf_counter()
    status, text, _ = ask("GET", path, cookie, {})
    if status != 200:
        raise RuntimeError(f"{path}: {status}")
    return time.perf_counter() - start, len(text.encode())


def log_in() -> str:
    """The cookie of an owner."""
    from support import ADMIN_EMAIL, ADMIN_PASSWORD

    _, text, cookie = ask("GET", "/login", "", {})
    token = re.findall(r'name="csrf_token" value="([^"]+)"', text)[0]
    form = {"csrf_token": token, "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
    status, _, cookie = ask("POST", "/login", cookie, form)
    if status != 303:
        raise RuntimeError(f"log-in: {status}")
    return cookie


def cpu_seconds(running: subprocess.Popen[bytes]) -> float:
    """What the processes of the service have taken of the processor."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    ticks = 0
    for pid in (str(running.pid), *children):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def together(path: str, cookie: str) -> list[float]:
    """Seconds of PEOPLE who open a page at the same moment."""
    ready = Barrier(PEOPLE)

    def one(_: int) -> float:
        ready.wait()
        return get(path, cookie)[0]

    with ThreadPoolExecutor(PEOPLE) as threads:
        return sorted(threads.map(one, range(PEOPLE)))


def whole_list(folder: Path) -> tuple[float, int]:
    """Seconds and rows of what mailctl runs in the container for `user list`."""
    program = f"from usermgmt import cli; cli.SOCKET = {str(folder / 'inside')!r}; cli.main()"
    words = [sys.executable, "-c", program, "api", "GET", "/mailboxes?limit=500", "--all"]
    start = time.perf_counter()
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(PART)}, capture_output=True, check=True)
    return time.perf_counter() - start, done.stdout.count(b'"email"')


def main() -> None:
    """Print the figures; exit status 1 if a page alone is beyond LIMITS."""
    sys.path[:0] = [str(PART), str(ROOT / "tests" / "usermgmt"), str(ROOT)]
    from support import mariadb_server

    from usermgmt.database import Database

    beyond = []
    with tempfile.TemporaryDirectory(prefix="um") as name, mariadb_server(Path(name)) as server:
        database = Database(server.url("usermgmt"))
        with service(Path(name), server.socket) as running:
            cookie = log_in()
            fill(database, MAILBOXES)
            print(f"{MAILBOXES:,} mailboxes   alone    size  | {PEOPLE} at once: median  slowest  processor")
            for path in PAGES:
                alone, size = min(get(path, cookie) for _ in range(20))
                before = cpu_seconds(running)
                found = [each for _ in range(ROUNDS) for each in together(path, cookie)]
                each = (cpu_seconds(running) - before) / len(found)
                median, slowest = sorted(found)[len(found) // 2], max(found)
                print(
                    f"{path:22} {alone * 1000:5.0f} ms {size / 1000:4.0f} kB  |"
                    f"          {median:6.2f} s {slowest:6.2f} s  {each * 1000:4.0f} ms a page"
                )
                beyond += [path] if alone > LIMITS[0] or size > LIMITS[1] else []
            seconds, rows = whole_list(Path(name))
            print(f"the whole list, {rows:,} rows: {seconds:.2f} s")
        database.engine.dispose()
    if beyond:
        sys.exit(f"beyond {LIMITS[0] * 1000:.0f} ms or {LIMITS[1] // 1000} kB alone: {', '.join(beyond)}")


if __name__ == "__main__":
    main()
