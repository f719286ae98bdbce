"""MAIL_REP_010: platform/ is as it came with the template."""

import hashlib
from collections.abc import Iterator

from policies.model import Found, Place
from policies.shared.repository import Repository

SUMS = "platform/checksums"


def check(subject: Repository) -> Iterator[Found]:
    """Compare each file with the checksum that came with it."""
    lines = subject.text(SUMS).splitlines() if subject.has(SUMS) else []
    came = {f"platform/{name}": digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = [file for file in subject.matching("platform/*") if file != SUMS]
    here = {file: hashlib.sha256(subject.text(file).encode()).hexdigest() for file in files}
    for file in sorted(came.keys() | here.keys()):
        if came.get(file) != here.get(file):
            what = "new here" if file not in came else "edited" if file in here else f"without {file}"
            yield Found(Place(file if file in here else SUMS), what, "as it came", file)
