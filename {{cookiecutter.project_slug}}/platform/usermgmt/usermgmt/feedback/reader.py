"""Reads a mail's reports in a process of its own, which ends when it takes too much: what strangers send to
be unpacked and parsed can exhaust that process, and not the service.

`python -m usermgmt.feedback.reader < mail` prints them as JSON; exit status 3: there is none, and why.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict

from usermgmt.feedback import dmarc, tls
from usermgmt.feedback.forms import Report, Unreadable
from usermgmt.feedback.unpack import documents

LARGEST_MAIL = 10 * 1024 * 1024
#: Two at once, one of each process of gunicorn, fit the container; a report of 9,000 networks needs 50 MiB.
MEMORY, CPU_SECONDS, SECONDS = 160 * 1024 * 1024, 10, 15
LONGEST_REASON = 200
UNREADABLE = 3


def read(mail: bytes) -> list[Report]:
    """The reports of a mail, read in another process. All of its attachments are reports, or Unreadable."""
    if len(mail) > LARGEST_MAIL:
        raise Unreadable(f"it is larger than {LARGEST_MAIL} bytes")
    # Nothing of the environment, which says where secrets lie.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "usermgmt.feedback.reader"]
    try:
        done = subprocess.run(  # noqa: S603 - this very file
            command, input=mail, capture_output=True, timeout=SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"it takes longer than {SECONDS} seconds to read") from None
    said = done.stderr.decode(errors="replace").strip()[-LONGEST_REASON:]
    if done.returncode:
        known = done.returncode == UNREADABLE
        raise Unreadable(said if known else f"reading it ended with {done.returncode}: {said}")
    rows = json.loads(done.stdout)
    return [Report(**{**each, "rows": [(tuple(row), count) for row, count in each["rows"]]}) for each in rows]


def read_here(mail: bytes) -> list[Report]:
    """The reports of a mail, read in this process. Raises Unreadable, and anything that a library does."""
    found: list[Report] = []
    for document in documents(mail):
        found += (tls if document.lstrip()[:1] == b"{" else dmarc).read(document)
    return found


def main() -> None:
    """Read standard input within the limits."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        found = read_here(sys.stdin.buffer.read())
    except Exception as reason:  # noqa: BLE001 - whatever it is, it is no report
        print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
        sys.exit(UNREADABLE)
    json.dump([asdict(each) for each in found], sys.stdout)


if __name__ == "__main__":
    main()
