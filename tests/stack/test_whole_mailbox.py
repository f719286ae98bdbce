"""Whatever a mailbox holds comes back as it was, within the memory of a small host.

`make soak` sets how much there is: ODD_MAILS, ODD_LARGE (mails of 25 MiB).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stack.clients import Mailboxes
from tests.stack.keeper import Keeper
from tests.stack.odd_mailbox import Motion, OddMailbox, Size, measured
from tests.stack.stack import Stack, eventually

MEMORY_MIB = 150
LEARNED = "learned-before-the-snapshot"
KINDS = {"folders", "mails", "UIDs", "UIDVALIDITY", "flags", "keywords", "dates", "subscriptions"}
FURTHER = "keywords > 26"


@dataclass(frozen=True)
class Saved:
    """An odd mailbox as it was, and the snapshot that was taken of it while other mail moved."""

    keeper: Keeper
    box: OddMailbox
    before: dict[str, Any]
    snapshot: Path
    peak: int


@pytest.fixture(scope="module")
def saved(stack, accounts) -> Iterator[Saved]:
    keeper, box = Keeper(stack), Mailboxes(stack.info, accounts).new("odd", "20G")
    name, _, domain = box.address.partition("@")
    odd = OddMailbox(stack.container("dovecot"), box.address, keeper.hdd / "mailboxes" / domain / name)
    odd.fill(Size(), seed=20)
    valkey(stack, "set", LEARNED, "as spam")
    keeper.prepare()
    before, motion = odd.picture(), Motion(odd, seed=20)
    motion.start()
    eventually(lambda: motion.moves > 5, limit=60)
    document, peak = measured(stack, "backup")
    moves = motion.moves
    motion.stop()
    assert moves > 10, "nothing moved during the snapshot"
    yield Saved(keeper, odd, before, keeper.hdd / document["id"], peak)
    shutil.rmtree(odd.files)
    keeper.start("restore", "--local", "--confirm", "--yes").communicate(timeout=120)


def valkey(stack: Stack, *words: str) -> str:
    """What Valkey answers."""
    log_in = 'REDISCLI_AUTH="$(sed -n "s/^requirepass //p" /run/secrets/valkey_auth)" exec valkey-cli "$@"'
    return stack.exec("valkey", "sh", "-c", log_in, "valkey-cli", *words).strip()


def still(picture: dict[str, Any], uids: bool = True) -> dict[str, Any]:
    """A picture without the folders in which mail moves, and without UIDs if they may differ."""
    mails = [row if uids else (row[0], *row[2:]) for row in picture["mails"]]
    folders = [row if uids else row.partition("\t")[0] for row in picture["folders"]]
    contents = {place: found for place, found in picture["contents"].items() if place != "moved"}
    kept = {"mails": sorted(mails), "folders": sorted(folders), "contents": contents}
    return kept | {name: picture[name] for name in ("scripts", "rules", "subscriptions")}


def damage(box: OddMailbox) -> None:
    """A single mail is lost, a folder loses all, an odd folder goes, a script too."""
    first, *_ = box.uids("Keywords")
    box.doveadm("expunge", "-u", box.address, "mailbox", "Keywords", "uid", first)
    box.doveadm("expunge", "-u", box.address, "mailbox", "Large", "all")
    box.doveadm("mailbox", "delete", "-u", box.address, 'a"b', "José/日本語")
    box.doveadm("sieve", "delete", "-u", box.address, "first")


def test_one_mailbox_comes_back_with_flags_keywords_and_dates_while_the_server_runs(scanned, saved):
    damage(saved.box)
    assert still(saved.box.picture(), uids=False) != still(saved.before, uids=False)
    words = ("restore", "--from", saved.snapshot, "--mailbox", saved.box.address, "--component", "mail")
    done, peak = measured(scanned, *words)
    assert done["sieve"] == ["first"] and sum(done["added"].values()) >= 1 + Size().large
    assert still(saved.box.picture(), uids=False) == still(saved.before, uids=False)
    print(f"one mailbox: at most {peak} MiB")
    assert peak < MEMORY_MIB


def test_a_folder_with_every_keyword_goes_beside_what_is_there(scanned, saved):
    words = ("--mailbox", saved.box.address, "--folder", "Keywords", "--into", 'Back & "forth"')
    done, _ = measured(scanned, "restore", "--from", saved.snapshot, *words)
    rows = [row for row in saved.box.picture()["mails"] if row[0] == 'Back & "forth"/Keywords']
    wanted = [row[2:] for row in saved.before["mails"] if row[0] == "Keywords"]
    assert sorted(row[2:] for row in rows) == sorted(wanted) and len(rows) == sum(done["added"].values())


def test_after_the_loss_of_all_files_the_mailbox_is_what_it_was_with_its_uids(scanned, saved):
    shutil.rmtree(saved.box.files)
    words = ("restore", "--from", saved.snapshot, "--component", "mail", "--yes")
    done, peak = measured(scanned, *words)
    after = saved.box.picture()
    assert done["differences"] == [] and still(after) == still(saved.before)
    lost = saved.before["contents"]["moved"] - after["contents"]["moved"]
    assert not lost and max(after["contents"]["moved"].values()) == 1
    saved.keeper.confirm()
    print(f"snapshot: at most {saved.peak} MiB, restore: {peak} MiB")
    assert max(saved.peak, peak) < MEMORY_MIB


def test_what_rspamd_has_learned_comes_back(scanned, saved):
    valkey(scanned, "del", LEARNED)
    measured(scanned, "restore", "--from", saved.snapshot, "--component", "learned", "--yes")
    assert valkey(scanned, "get", LEARNED) == "as spam"
    scanned.healthy("valkey", "rspamd")
    saved.keeper.confirm()


def test_the_drill_compares_everything_and_shows_how_much(scanned, saved):
    report, peak = measured(scanned, "drill", "--local-only")
    [one] = report["drills"]
    compared = {kind: row for kind, row in one["table"].items() if row[0]}
    assert compared.keys() >= {*KINDS, FURTHER}
    assert {kind: row for kind, row in compared.items() if row[1]} == {}
    assert one["learned"] >= 1, "what rspamd has learned was not read"
    shown = (saved.keeper.hdd / ".mailctl" / "drill-report.txt").read_text()
    assert all(f"{kind} " in shown for kind in KINDS)
    print(f"drill: at most {peak} MiB\n{shown}")
    assert peak < MEMORY_MIB
