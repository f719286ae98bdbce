"""Our packs against restic: bytes stored, peak memory and seconds of a first copy and of one with 2 % change.

python -m benchmarks.offsite [MAILS]        needs restic (Debian's); moto is the S3 of both
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
from base64 import encodebytes
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import backup

if TYPE_CHECKING:
    from s3 import Cloud

MAILS, BOXES, SEED = int(os.environ.get("OFFSITE_MAILS", "5000")), 5, 20261128
#: One mail in so many has an attachment of up to 5 MB, and one in so many changes for the second snapshot.
ATTACHED, CHANGED = 40, 50
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "we",
    "for",
    "that",
    "is",
    "on",
    "with",
    "as",
    "at",
    "by",
    "from",
    "it",
    "be",
    "are",
    "this",
    "have",
    "or",
    "an",
    "not",
    "you",
    "your",
    "all",
    "can",
]


class Cost(NamedTuple):
    """Of one run: seconds, peak memory in MiB, and bytes that the target holds more than before."""

    seconds: float
    memory: float
    stored: int


def mail(source: random.Random, mark: str) -> bytes:
    """Text that compresses as text does, and now and then an attachment that does not."""
    text = " ".join(source.choices(WORDS, k=int(source.lognormvariate(5.5, 1))))
    body = f"Subject: {mark} {source.random()}\r\n\r\n{text}\r\n".encode()
    if source.randrange(ATTACHED) == 0:
        body += encodebytes(source.randbytes(source.randrange(20_000, 3_700_000)))
    return body


def fill(mailboxes: Path, count: int, mark: str) -> int:
    """Put so many mails into the mailboxes; their bytes."""
    source, total = random.Random(f"{SEED}{mark}"), 0  # noqa: S311
    for number in range(count):
        folder = mailboxes / "example.com" / f"user{number % BOXES}" / "mail" / "cur"
        folder.mkdir(parents=True, exist_ok=True)
        raw = mail(source, mark)
        (folder / f"17{number:08}.M{mark}P1.host,S={len(raw)}:2,S").write_bytes(raw)
        total += len(raw)
    return total


# Between: of a process that is forked from a large one, the kernel counts the large one's memory, too.
SMALL = """import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))"""


def run(command: list[str], environment: dict[str, str], cwd: Path | None = None) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of a program that must succeed."""
    start = perf_counter()
    words = [sys.executable, "-ISc", SMALL, *command]
    done = subprocess.run(words, env=os.environ | environment, stdout=subprocess.PIPE, check=True, cwd=cwd)
    return perf_counter() - start, int(done.stdout.split()[-1]) / 1024


def restic(place: str, snapshot: Path, cloud: Cloud) -> tuple[float, float]:
    """`restic backup` of a snapshot's folder, with the key that cannot delete."""
    key = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), cloud.uploader, strict=True))
    environment = {**key, "RESTIC_PASSWORD": "x", "AWS_DEFAULT_REGION": "ap-northeast-1", "GOMAXPROCS": "2"}
    cache = ["--cache-dir", str(snapshot.parents[1] / "restic-cache")]
    command = ["restic", "--repo", place, *cache, "--quiet"]
    look = subprocess.run(
        [*command, "cat", "config"], env=os.environ | environment, capture_output=True, check=False
    )
    if look.returncode:
        run([*command, "init"], environment)
    # From inside, so that both snapshots are one tree to it, and it reads what is new only.
    backup = [*command, "backup", "--group-by", "host", "--ignore-inode", "."]
    return run(backup, environment, snapshot)


def ours(folder: Path) -> tuple[float, float]:
    """`mailctl sync`, in a process of its own."""
    return run([sys.executable, "-m", "benchmarks.offsite", "--sync", str(folder)], {})


def sync(folder: Path) -> None:
    """The process of `ours`: the upload, as the timer runs it."""
    from mailctl.backup.offsite.upload import upload
    from mailctl.core.context import Context
    from mailctl.core.output import Output

    upload(Context(folder, Output(as_json=True), environ={}, env_path=folder / ".env"))


def stored(place: Path | str, cloud: Cloud, prefix: str = "") -> int:
    """Bytes in a folder, or below a prefix of the bucket."""
    if isinstance(place, Path):
        return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    pages = cloud.client().get_paginator("list_objects_v2").paginate(Bucket=place, Prefix=prefix)
    return sum(entry["Size"] for page in pages for entry in page.get("Contents", []))


def measure(folder: Path, mails: int) -> dict[str, object]:
    """Both tools on the same two snapshots, in turns."""
    from s3 import BUCKET, PREFIX, REGION, Cloud

    cloud, found = Cloud(), dict[str, object]()
    try:
        hdd = folder / "hdd"
        (hdd / "mailboxes").mkdir(parents=True)
        backup._context(folder, hdd, cloud, {"BUCKET": BUCKET, "PREFIX": PREFIX, "REGION": REGION})
        local, remote = folder / "restic", f"s3:{cloud.endpoint}/{BUCKET}/restic"
        take = backup._ours(hdd / "mailboxes")
        for day, (count, mark) in enumerate(((mails, "old"), (mails // CHANGED, "new"))):
            size = fill(hdd / "mailboxes", count, mark)
            take(hdd, day)
            snapshot = backup._path(hdd, day) / "mail"
            costs = {}
            for name, where, prefix, work in (
                ("packs, S3", BUCKET, PREFIX, lambda: ours(folder)),
                ("restic, S3", BUCKET, "restic", lambda at=snapshot: restic(remote, at, cloud)),
                ("restic, folder", local, "", lambda at=snapshot: restic(str(local), at, cloud)),
            ):
                before = stored(where, cloud, prefix)
                seconds, memory = work()
                costs[name] = Cost(
                    round(seconds, 1), round(memory), stored(where, cloud, prefix) - before
                )._asdict()
            found[mark] = {"mails": count, "bytes": size, **costs}
        locks = cloud.client().list_objects_v2(Bucket=BUCKET, Prefix="restic/locks/").get("KeyCount", 0)
        found["lock files that restic left"] = locks
    finally:
        cloud.stop()
    return found


def main(arguments: list[str]) -> None:
    """Measure, and print the figures as JSON."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if arguments[:1] == ["--sync"]:
        return sync(Path(arguments[1]))
    folder = Path(tempfile.mkdtemp(prefix="offsite-"))
    try:
        print(json.dumps(measure(folder, int(arguments[0]) if arguments else MAILS), indent=1))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
