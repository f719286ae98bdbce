"""The second copy of each volume of mailboxes: read-only snapshots, sent to the next host every minute.

btrbk makes and sends them (docs/several-hosts.md). What arrived since the newest one is at risk.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mailctl.core import folders, job_results
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.second_copy import JOB, SERVED, volumes
from mailctl.swarm.inventory import FIX, Inventory, Node

#: Below HDD_PATH: our snapshots of what is served, and those of other hosts.
OWN, OTHERS = ".copies", "copies"
#: The user of the stores, who writes there (docker-compose.yml).
DOVECOT = 1000
MARK = ".shard"
#: Seconds that a round may take: the first one sends everything.
FIRST_SECONDS = 24 * 3600.0
#: As btrbk names a snapshot: VOLUME.20261129T021500+0000, and _1 for a second one of the same moment.
NAME = re.compile(r"(?P<volume>[a-z0-9-]+)\.(?P<moment>\d{8}T\d{6}[+-]\d{4})(?:_\d+)?")
CONFIG = """\
# Made by .venv/bin/mailctl node copy for each run.
timestamp_format long-iso
snapshot_create always
# The newest ones are what the next one is measured against.
snapshot_preserve no
snapshot_preserve_min latest
target_preserve no
target_preserve_min latest
ssh_user root
ssh_identity /etc/btrbk/ssh/id_ed25519
lockfile {lock}
volume {hdd}
  snapshot_dir {own}
  target {target}
"""


@dataclass(frozen=True)
class Copy:
    """A snapshot of a volume; `at` is when it was made, in epoch seconds."""

    volume: str
    path: Path
    at: float


def peer(inventory: Inventory, name: str) -> Node:
    """The host with the copies of another one: the next with a shard, round and round. Raises Refused."""
    ring = [node for node in inventory.nodes if node.shard is not None]
    names = [node.name for node in ring]
    if name not in names:
        raise Refused(Problem("nodes.yml", "gives this host no shard", FIX, value=name))
    if len(ring) < 2:
        raise Refused(Problem("nodes.yml", "no second host has a shard: there is no place for a copy", FIX))
    return ring[(names.index(name) + 1) % len(ring)]


def room(inventory: Inventory, name: str, hdd: Path) -> list[str]:
    """Make a folder for the copies of each host that sends them to this one; whose are new."""
    ring = [node.name for node in inventory.nodes if node.shard is not None]
    sent = [each for each in ring if len(ring) > 1 and peer(inventory, each).name == name]
    made = [each for each in sent if not (hdd / OTHERS / each).is_dir()]
    for each in made:
        folders.private(hdd / OTHERS / each)
    return made


def config(hdd: Path, target: str, lock: Path) -> str:
    """What btrbk is told; `target` is a folder here, or ssh://ADDRESS/FOLDER."""
    text = CONFIG.format(hdd=hdd, own=OWN, target=target, lock=lock)
    return text + "".join(f"  subvolume {SERVED}/{name}\n    snapshot_name {name}\n" for name in volumes(hdd))


def held(folder: Path) -> dict[str, Copy]:
    """The newest whole copy of each volume in a folder: not what is still being received."""
    found: dict[str, Copy] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if (name := NAME.fullmatch(path.name)) and whole(path):
            at = datetime.strptime(name["moment"], "%Y%m%dT%H%M%S%z").timestamp()
            if name["volume"] not in found or found[name["volume"]].at < at:
                found[name["volume"]] = Copy(name["volume"], path, at)
    return found


def whole(path: Path) -> bool:
    """Whether a snapshot came to its end: then btrfs has made it read-only, and has noted what it is of."""
    said = _run("btrfs", "subvolume", "show", str(path), check=False)
    own = OWN in path.parts
    return "readonly" in said and (own or not re.search(r"Received UUID:\s+-\s*$", said, re.M))


def copy(context: Context, inventory: Inventory, name: str, target: str = "") -> dict[str, float]:
    """Make a snapshot of each volume and send it to the next host; when each was made. Raises Refused."""
    hdd = folders.hdd(context)
    (hdd / OWN).mkdir(mode=0o700, exist_ok=True)
    where = target or f"ssh://{peer(inventory, name).address}{hdd}/{OTHERS}/{name}"
    settings = folders.private(hdd / job_results.FOLDER) / "btrbk.conf"
    settings.write_text(config(hdd, where, settings.with_suffix(".lock")))
    try:
        _run("btrbk", "--quiet", "-c", str(settings), "run", limit=FIRST_SECONDS)
    except Refused as refusal:
        job_results.record(context, JOB, False, {"problem": refusal.details or str(refusal)})
        raise
    made = {each.volume: each.at for each in held(hdd / OWN).values()}
    job_results.record(context, JOB, True, {"copied": made})
    return made


def promote(copied: Copy, hdd: Path) -> str:
    """Make what a copy holds a volume of this host, under a name of its own. Raises Refused."""
    name = next(_names(copied.volume, hdd))
    _run("btrfs", "subvolume", "snapshot", str(copied.path), str(hdd / SERVED / name))
    return name


def drop(hdd: Path, name: str) -> None:
    """Remove a volume that nobody was served from. Raises Refused."""
    _run("btrfs", "subvolume", "delete", str(hdd / SERVED / name))


def _names(volume: str, hdd: Path) -> Iterator[str]:
    """Names that no volume here has: a-2 for what another host had as a."""
    stem, number = volume.partition("-")[0], 2
    while True:
        if not (hdd / SERVED / f"{stem}-{number}").exists():
            yield f"{stem}-{number}"
        number += 1


def begin(hdd: Path, shard: str) -> bool:
    """Make a shard an empty volume, and mark the disk as its own; False: it was. Raises Refused."""
    served, mark = hdd / SERVED, hdd / SERVED / MARK
    now = mark.read_text().strip() if mark.exists() else ""
    if now == shard:
        return False
    if now or volumes(hdd):
        wrong = f"holds mail of {now or 'a server on one host: ' + ', '.join(volumes(hdd)[:3])}"
        fix = "use an empty disk, or nodes.yml gives this host the wrong shard"
        raise Refused(Problem("disk", wrong, fix, value=str(served)))
    _run("btrfs", "subvolume", "create", str(served / shard))
    os.chown(served / shard, DOVECOT, DOVECOT)
    mark.write_text(f"{shard}\n")
    return True


def _run(*words: str, limit: float = 120, check: bool = True) -> str:
    """What a program printed. Raises Refused with its own words."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)
    except FileNotFoundError:
        fix = "apt-get install btrfs-progs btrbk"
        raise Refused(Problem(words[0], "is not installed on this host", fix)) from None
    except subprocess.TimeoutExpired:
        fix = "look at the disk and the network, then run it again"
        raise Refused(Problem(words[0], f"did not end within {limit:.0f} seconds", fix)) from None
    if done.returncode and check:
        said = (done.stderr or done.stdout).strip()[-1000:]
        fix = "fix what it names; docs/several-hosts.md says what disk and next host must be like"
        raise Refused(Problem(words[0], "failed; what it said stands above", fix), details=said)
    return done.stdout
