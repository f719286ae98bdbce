"""The daily snapshot of 100,000 mails against rsync and restic, its restore against cp, its upload.

Every tool ends with its files on the disk (syncfs); they take turns on one tree, so that caches favour none.
Only the component mail is measured: there is no stack here.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Before the package that is installed, which is another tree's in a second working copy.
sys.path.insert(0, str(ROOT / "{{cookiecutter.project_slug}}" / "platform" / "mailctl" / "src"))
sys.path.append(str(ROOT / "tests" / "mailctl"))

MAILS = int(os.environ.get("BENCHMARK_MAILS", "100000"))
MAILBOXES, ROUNDS, SEED = 20, 3, 20261126
#: How much of the mail is new, in the order in which a tool meets it.
DAYS = ("100 % new", "0 % new", "1 % new")
RSYNC, RESTIC = "rsync -a --link-dest", "restic backup"
FIRST_DAY = date(2026, 1, 1)
# Makes snapshot number `day` below a folder.
Take = Callable[[Path, int], None]


def tree(root: Path) -> None:
    """Mailboxes of 100,000 mails of some kilobytes, as people have them, none compressible."""
    source = random.Random(SEED)  # noqa: S311
    for box in range(MAILBOXES):
        folder = root / "example.com" / f"user{box}" / "mail"
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "dovecot-uidlist").write_text("3 V1 N1 G1\n")
        _add(folder, source, MAILS // MAILBOXES, "old")


def new_mails(mailboxes: Path, day: int) -> int:
    """One in a hundred mails is new; returns their bytes."""
    source = random.Random(SEED + day)  # noqa: S311
    folders = [box / "mail" for box in sorted((mailboxes / "example.com").iterdir())]
    return sum(_add(folder, source, MAILS // MAILBOXES // 100, f"day{day}") for folder in folders)


def _add(folder: Path, source: random.Random, count: int, mark: str) -> int:
    total = 0
    for number in range(count):
        size = min(int(source.lognormvariate(8.3, 1.0)), 2_000_000)
        body = f"Subject: {mark} {number}\n\n".encode() + source.randbytes(size)
        (folder / "cur" / f"17{number:08}.M{mark}P1.host,S={len(body)}:2,S").write_bytes(body)
        total += len(body)
    return total


def days(folder: Path, mailboxes: Path) -> dict[str, dict[str, float]]:
    """For each day, the median seconds of each tool over several rounds, each from an empty target."""
    tools: dict[str, Take] = {"ours": _ours(mailboxes), RSYNC: _rsync(mailboxes), RESTIC: _restic(mailboxes)}
    taken: dict[str, dict[str, list[float]]] = {day: {name: [] for name in tools} for day in DAYS}
    for number in range(ROUNDS):
        for index, day in enumerate(DAYS):
            if day == "1 % new":
                new_mails(mailboxes, number)
            for name, take in tools.items():
                taken[day][name].append(_timed(partial(take, folder / name, index), folder))
            print(
                f"{day}: { ({name: round(times[-1], 2) for name, times in taken[day].items()}) }", flush=True
            )
        for name in tools:
            shutil.rmtree(folder / name)
    return {day: {name: statistics.median(t) for name, t in found.items()} for day, found in taken.items()}


def _ours(mailboxes: Path) -> Take:
    """A snapshot as `mailctl backup` makes it, with other components of a few bytes each."""
    import snapshots

    from mailctl.backup.mailcopy import copy_tree, index_digest
    from mailctl.core.snapshot_manifest import save

    def take(target: Path, day: int) -> None:
        path = _path(target, day)
        made = snapshots.make(target, "/".join(path.parts[-2:]), mails={}).manifest.document
        found = copy_tree(mailboxes, path, _path(target, day - 1) if day else None)
        components = made["components"] | {"mail": found.component(index_digest(path))}
        save(path, {**made, "components": components})

    return take


def _rsync(mailboxes: Path) -> Take:
    """rsync as its manual shows it for snapshots of every day."""

    def take(target: Path, day: int) -> None:
        target.mkdir(exist_ok=True)
        link = [f"--link-dest={target / str(day - 1)}"] if day else []
        _run("rsync", "-a", *link, f"{mailboxes}/", f"{target / str(day)}/")

    return take


def _restic(mailboxes: Path) -> Take:
    """restic into a repository on the same disk."""

    def take(target: Path, day: int) -> None:
        command = ("restic", "--quiet", "--repo", str(target))
        if not day:
            _run(*command, "init")
        _run(*command, "backup", str(mailboxes))

    return take


def restore(folder: Path, mailboxes: Path) -> tuple[float, float]:
    """Median seconds of a restored mail component, every mail compared with its checksum, and of `cp -a`."""
    from mailctl.backup.restore.stage import stage_mail
    from mailctl.core.snapshots import read

    _ours(mailboxes)(folder / "ours", 0)
    snapshot, rounds = read(_path(folder / "ours", 0)), []
    for _ in range(ROUNDS):
        ours = _timed(lambda: stage_mail(snapshot, folder / "staged"), folder)
        theirs = _timed(lambda: _run("cp", "-a", str(snapshot.path / "mail"), str(folder / "copied")), folder)
        rounds.append((ours, theirs))
        shutil.rmtree(folder / "staged")
        shutil.rmtree(folder / "copied")
    print(f"restore: {rounds}", flush=True)
    first, second = (statistics.median(column) for column in zip(*rounds, strict=True))
    return first, second


def uploaded(folder: Path, mailboxes: Path) -> tuple[int, int, int, int]:
    """Bytes of mails and of objects on S3: of the first upload, and of the next, with 1 % new."""
    from s3 import BUCKET, PREFIX, REGION, Cloud

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    hdd = folder / "hdd"
    (hdd / "mailboxes").mkdir(parents=True)
    cloud, sizes, take = Cloud(), list[int](), _ours(mailboxes)
    try:
        context = _context(folder, hdd, cloud, {"BUCKET": BUCKET, "PREFIX": PREFIX, "REGION": REGION})
        for day in (0, 1):
            mails = new_mails(mailboxes, 99) if day else _size(mailboxes)
            take(hdd, day)
            before = _stored(cloud, BUCKET)
            _upload(context)
            sizes += [mails, _stored(cloud, BUCKET) - before]
    finally:
        cloud.stop()
    print(f"bytes of mails and of objects: {sizes}", flush=True)
    return tuple(sizes)


def _context(folder: Path, hdd: Path, cloud: Any, settings: dict[str, str]) -> Any:
    from mailctl.core import encryption, signing
    from mailctl.core.context import Context
    from mailctl.core.output import Output

    secrets = folder / "secrets"
    secrets.mkdir()
    identity = encryption.new_identity()
    (secrets / encryption.HOST_IDENTITY).write_bytes(identity)
    (secrets / signing.KEY_FILE).write_bytes(signing.new_key())
    (secrets / "aws_uploader_key").write_text("\n".join(cloud.uploader) + "\n")
    os.environ["AWS_ENDPOINT_URL"] = cloud.endpoint
    owner = encryption.public(identity.decode().split()[-1])
    lines = [f"BACKUP_{name}={value}" for name, value in settings.items()]
    lines += [f"HDD_PATH={hdd}", f"SECRETS_DIR={secrets}", f"BACKUP_AGE_RECIPIENTS={owner}"]
    (folder / ".env").write_text("\n".join(lines) + "\n")
    return Context(folder, Output(as_json=True), environ={}, env_path=folder / ".env")


def _upload(context: Any) -> None:
    from mailctl.backup.offsite.upload import upload

    upload(context)


def _stored(cloud: Any, bucket: str) -> int:
    pages = cloud.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return sum(entry["Size"] for page in pages for entry in page.get("Contents", []))


def _size(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def _path(target: Path, day: int) -> Path:
    return target / "daily" / str(FIRST_DAY + timedelta(days=day))


def _timed(work: Callable[[], object], folder: Path) -> float:
    """Seconds of some work until its files are on the disk; what was written before is out of the way."""
    _run("sync", "--file-system", str(folder))
    start = perf_counter()
    work()
    _run("sync", "--file-system", str(folder))
    return perf_counter() - start


def _run(*command: str) -> None:
    environment = {**os.environ, "RESTIC_PASSWORD": "benchmark"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
