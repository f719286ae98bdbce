"""Copies off site when S3 fails or the run is killed."""

import gc
import os
import random
import signal
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import snapshots
from botocore.exceptions import EndpointConnectionError
from copies import DAY, mails, manifests, refused, remote, tree
from s3 import Cloud

from mailctl.backup.offsite import download as package
from mailctl.backup.offsite import objects, packs
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.upload import Upload, upload
from mailctl.backup.offsite.watch import verify
from mailctl.core import aws
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshots import Snapshot

KILLS = int(os.environ.get("SYNC_KILLS", "10"))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads in parts of 5 MiB, the least that S3 takes, and packs of two of them."""
    monkeypatch.setattr(objects, "PART", 5 * 1024 * 1024)
    monkeypatch.setattr(packs, "SIZE", 11 * 1024 * 1024)


class Faults:
    """Counts the calls to S3 of this process, and breaks those it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.broken: Callable[[int, str], bool] = lambda number, name: False
        original = aws.client

        def client(*arguments: Any) -> Any:
            made = original(*arguments)
            made.meta.events.register("before-call.s3", self._count)
            return made

        monkeypatch.setattr(aws, "client", client)

    def _count(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        if self.broken(len(self.calls), model.name):
            raise EndpointConnectionError(endpoint_url="s3")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


def test_s3_failing_at_any_call_is_said_and_the_next_run_goes_on(
    offsite: Path, context: Context, cloud: Cloud, faults: Faults, small_parts: None, tmp_path: Path
) -> None:
    upload(context)
    snapshots.make(offsite, "daily/2026-11-25", mails(20))
    upload(context)
    made, failures = snapshots.make(offsite, DAY, mails(3, 4 * 1024 * 1024)), 0
    while True:
        faults.calls.clear()
        faults.broken = lambda number, name, at=failures + 1: number == at
        try:
            upload(context)
            break
        except Refused as refusal:
            failures += 1
            assert [p.field for p in refusal.problems] == ["S3"] and "run the same command again" in str(
                refusal.problems[0].fix
            )
    assert failures > 10
    faults.broken = lambda number, name: False
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)
    assert verify(remote(cloud, context)).problems == []


def test_an_upload_in_parts_goes_on_with_the_part_that_was_missing(
    offsite: Path, context: Context, faults: Faults, small_parts: None, tmp_path: Path
) -> None:
    made = snapshots.make(offsite, DAY, mails(1, 22 * 1024 * 1024))
    parts = []
    faults.broken = lambda number, name: (
        name == "UploadPart" and parts.append(number) is None and len(parts) == 3
    )
    refused(upload, context)
    faults.calls.clear()
    faults.broken = lambda number, name: False
    upload(context)
    assert faults.calls.count("UploadPart") == 3
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)


def test_a_run_killed_once_the_copy_is_whole_leaves_nothing_that_the_next_one_keeps(
    offsite: Path, context: Context, made: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Upload._publish

    def killed(self: Upload, *arguments: Any) -> None:
        publish(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Upload, "_publish", killed)
        upload(context)
    notes = offsite / ".mailctl" / "offsite"
    assert list(notes.glob("*.json"))
    assert upload(context).copied == [] and list(notes.glob("*.json")) == []


def events(work: Callable[[], Any], kill_at: int = 0) -> int:
    """Run it in a process that is killed at its nth call to the system; how many there were, 0: killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event: str, _: Any) -> None:
            nonlocal count
            if event.startswith(("open", "os.", "socket.", "http.", "urllib3.")):
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            work()
        finally:
            os.write(writer, str(count).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        count = int(pipe.read() or 0)
    os.waitpid(child, 0)
    return count


@pytest.mark.series
def test_a_run_killed_at_any_moment_leaves_whole_copies_and_the_next_one_goes_on(
    offsite: Path, context: Context, small_parts: None, cloud: Cloud, tmp_path: Path
) -> None:
    """Moments are spread over a whole run by a seed, so that a failure can be repeated."""
    source, kills, day = random.Random(10), 0, datetime(2026, 1, 1, tzinfo=UTC)  # noqa: S311
    before = snapshots.make(offsite, f"daily/{day.date()}", mails(3, 3 * 1024 * 1024))
    most = events(lambda: upload(context))
    while kills < KILLS:
        day += timedelta(days=1)
        made = snapshots.make(offsite, f"daily/{day.date()}", mails(3, 3 * 1024 * 1024, seed=kills + 1))
        while events(lambda: upload(context), source.randrange(1, most + 1)) == 0:
            kills += 1
            there = [key.removesuffix("/manifest.json") for key in manifests(remote(cloud, context))]
            assert there[-1] in (before.id, made.id)
            assert verify(remote(cloud, context)).problems == []
        assert upload(context).findings == [], "what a killed run has sent is no stranger's"
        assert tree(package.fetch(context, made.id, tmp_path / "back").path) == tree(made.path)
        assert list((offsite / ".mailctl" / "offsite").glob("[!.]*")) == []
        before = made


@pytest.mark.series
def test_a_fetch_killed_at_any_moment_leaves_nothing_or_all_and_the_next_one_ends_it(
    offsite: Path, context: Context, small_parts: None, tmp_path: Path
) -> None:
    made, source = snapshots.make(offsite, DAY, mails(40, 300_000)), random.Random(20)  # noqa: S311
    upload(context)
    most = events(lambda: package.fetch(context, DAY, tmp_path / "whole"))
    for number in range(max(10, KILLS // 3)):
        target = tmp_path / f"back{number}"
        whole = events(
            lambda target=target: package.fetch(context, DAY, target), source.randrange(1, most + 1)
        )
        there = target / DAY
        assert there.exists() or not whole
        if not there.exists():
            package.fetch(context, DAY, target)
        assert tree(there) == tree(made.path)


@pytest.mark.parametrize("how", ["S3 does not answer", "killed"])
def test_an_interrupted_fetch_goes_on_with_what_it_has(
    how: str, offsite: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "SIZE", 1024 * 1024)
    made = snapshots.make(offsite, DAY, mails(40, 300_000))
    upload(context)
    target, asked, get = tmp_path / "back", list[str](), Bucket.get_data

    def breaks(self: Bucket, name: str, *rest: Any) -> None:
        if len(asked) == 6:
            raise KeyboardInterrupt if how == "killed" else aws.Unreachable(Problem("S3", "is gone", ""))
        asked.append(name)
        get(self, name, *rest)

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, aws.Unreachable)):
        patch.setattr(Bucket, "get_data", breaks)
        package.fetch(context, DAY, target)
    half = next(target.glob(".*.partial/daily/*/mail/*/*/mail/cur/*"))
    half.write_bytes(b"half of a mail")
    (half.parent / "9.planted").symlink_to("/etc/passwd")
    first, counted = list(asked), list[str]()
    monkeypatch.setattr(
        Bucket, "get_data", lambda self, name, *rest: (counted.append(name), get(self, name, *rest))
    )
    assert tree(package.fetch(context, DAY, target).path) == tree(made.path)
    again = set(first) & set(counted)
    assert len(again) <= 3, "the index, and the pack of the damaged mail"
    assert len(counted) < len(set(first) | set(counted)) and not list(target.glob(".*"))


def test_memory_does_not_grow_with_the_number_of_mails(
    offsite: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peaks of Python's own memory while 500 mails are copied, and then 3,000."""
    peaks = []
    monkeypatch.setattr(packs, "MOST_FILES", 250)
    for number, count in enumerate((500, 3_000)):
        snapshots.make(offsite, f"daily/2026-11-2{number}", mails(count, 20, seed=number))
        gc.collect()
        tracemalloc.start()
        upload(context)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 1_000_000
