"""Second copies on real btrfs, on loop devices: what is sent, what is at risk, and a copy that is served."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ENV

from mailctl.core import second_copy
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.swarm import copies
from mailctl.swarm.inventory import Inventory, Node

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("btrbk") or not shutil.which("mkfs.btrfs"),
    reason="needs root, btrfs-progs and btrbk (make system)",
)
HOSTS = Inventory((Node("mail1", "10.0.0.1", "1", "a"), Node("mail2", "10.0.0.2", "2", "b")))


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two file systems, as of two hosts."""
    made = []
    for name in ("one", "two"):
        image, place = tmp_path / f"{name}.img", tmp_path / name
        with image.open("wb") as file:
            file.truncate(200 << 20)
        place.mkdir()
        for words in (("mkfs.btrfs", "--quiet", str(image)), ("mount", "-o", "loop", str(image), str(place))):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{words[0]}: {done.stderr.strip()}")
        (place / "mailboxes").mkdir()
        made.append(place)
    yield made[0], made[1]
    for place in made:
        subprocess.run(("umount", str(place)), check=True)


@pytest.fixture
def host(repo: Path, disks: tuple[Path, Path]) -> Context:
    (repo / ".env").write_text(f"{ENV}HDD_PATH={disks[0]}\n")
    return Context(repo, Output(), environ={})


def mail(volume: Path, name: str) -> None:
    (volume / name).write_text(name)


def test_a_copy_is_as_the_volume_was_and_what_came_since_is_said_to_be_at_risk(
    host: Context, disks: tuple[Path, Path]
) -> None:
    one, two = disks
    assert copies.begin(one, "a") and not copies.begin(one, "a")
    assert second_copy.at_risk(host) == {"a": None}
    (two / "copies/mail1").mkdir(parents=True)
    for name in ("first", "second"):
        mail(one / "mailboxes/a", name)
        made = copies.copy(host, HOSTS, "mail1", str(two / "copies/mail1"))
    mail(one / "mailboxes/a", "third")
    risk = second_copy.at_risk(host)["a"]
    assert risk is not None and 0 <= risk < 60 and abs(time.time() - made["a"]) < 60
    held = copies.held(two / "copies/mail1")
    assert held["a"].at == made["a"]
    assert sorted(each.name for each in held["a"].path.iterdir()) == ["first", "second"]
    assert len(list((two / "copies/mail1").iterdir())) == 1, "older copies stay for ever"


def test_a_copy_that_is_served_has_a_name_of_its_own_and_is_copied_on(
    host: Context, disks: tuple[Path, Path], repo: Path
) -> None:
    one, two = disks
    copies.begin(one, "a")
    copies.begin(two, "b")
    (two / "copies/mail1").mkdir(parents=True)
    mail(one / "mailboxes/a", "first")
    copies.copy(host, HOSTS, "mail1", str(two / "copies/mail1"))
    held = copies.held(two / "copies/mail1")["a"]
    assert copies.promote(held, two) == "a-2" and copies.promote(held, two) == "a-3"
    mail(two / "mailboxes/a-2", "second")
    assert (two / "mailboxes/a-2/first").exists() and not (held.path / "second").exists()
    copies.drop(two, "a-3")
    (repo / ".env").write_text(f"{ENV}HDD_PATH={two}\n")
    (one / "copies/mail2").mkdir(parents=True)
    there = Context(repo, Output(), environ={})
    assert set(copies.copy(there, HOSTS, "mail2", str(one / "copies/mail2"))) == {"a-2", "b"}
    assert (copies.held(one / "copies/mail2")["a-2"].path / "second").exists()


def test_what_is_still_being_received_is_no_copy(host: Context, disks: tuple[Path, Path]) -> None:
    one, two = disks
    copies.begin(one, "a")
    target = two / "copies/mail1"
    target.mkdir(parents=True)
    broken = target / "a.20261129T021500+0000"
    subprocess.run(("btrfs", "subvolume", "create", str(broken)), check=True, capture_output=True)
    assert copies.held(target) == {}
    subprocess.run(("btrfs", "property", "set", str(broken), "ro", "true"), check=True, capture_output=True)
    assert copies.held(target) == {}, "a snapshot that was not received"


def test_a_round_that_fails_is_told_and_leaves_what_is_at_risk_growing(
    host: Context, disks: tuple[Path, Path]
) -> None:
    one, two = disks
    copies.begin(one, "a")
    (two / "copies/mail1").mkdir(parents=True)
    copies.copy(host, HOSTS, "mail1", str(two / "copies/mail1"))
    with pytest.raises(Refused) as refused:
        copies.copy(host, HOSTS, "mail1", str(two / "nowhere"))
    assert "nowhere" in (refused.value.details or "")
    risk = second_copy.at_risk(host, time.time() + 600)["a"]
    assert risk is not None and risk >= 600


def test_a_disk_that_holds_other_mail_is_not_begun(disks: tuple[Path, Path]) -> None:
    one, _ = disks
    copies.begin(one, "a")
    with pytest.raises(Refused, match="holds mail of a"):
        copies.begin(one, "b")
    (disks[1] / "mailboxes/example.org").mkdir()
    with pytest.raises(Refused, match="a server on one host"):
        copies.begin(disks[1], "b")
