"""Makes the new state of each component beside the live one, and says what shall change places with what."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mailctl.backup import groupware, learned
from mailctl.backup.restore import stage
from mailctl.backup.restore.choose import refuse
from mailctl.backup.restore.journal import remove
from mailctl.backup.restore.scratch import Scratch
from mailctl.core import files
from mailctl.core import groupware as calendars
from mailctl.core.context import Context
from mailctl.core.database import REVISION, load, migrate, query
from mailctl.core.engine import connected
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd, secrets
from mailctl.core.snapshots import Snapshot
from mailctl.person import erase
from mailctl.secret_files.table import DATABASE_PASSWORDS

RSPAMD = 11333
# Where this host keeps its data is this host's matter, whatever the lost one had.
OWN_SETTINGS = ("SSD_PATH", "HDD_PATH", "SECRETS_DIR", "LAN_ADDRESS")


@dataclass(frozen=True)
class Place:
    """One thing that is replaced: all its names are in the same folder, hence on the same disk."""

    live: Path
    id: str

    @property
    def staged(self) -> Path:
        return self.live.with_name(f"{self.live.name}.restore-{self.id}")

    @property
    def former(self) -> Path:
        return self.live.with_name(f"{self.live.name}.before-restore-{self.id}")


def places(context: Context, components: Iterable[str], id: str) -> dict[str, Place]:
    """What each component lives in. `config` is two: the secrets, shared with ssl, and `.env`."""
    wanted = set(components)
    found: dict[str, Path] = {}
    if wanted & {"config", "ssl"}:
        found["secrets"] = secrets(context)
    if "config" in wanted:
        found["env"] = context.env_path
    if "mysql" in wanted:
        found["mysql"] = context.folder("SSD_PATH", "") / "mariadb"
    if "mail" in wanted:
        found["mail"] = hdd(context) / "mailboxes"
    if "dkim" in wanted:
        found["dkim"] = volume(context.project_name, "rspamd_data", (RSPAMD, RSPAMD)) / "dkim"
    if "learned" in wanted:
        found["learned"] = volume(context.project_name, learned.VOLUME, learned.OWNER) / learned.LOG
    if "groupware" in wanted:
        data = volume(context.project_name, calendars.VOLUME, calendars.OWNER)
        found["groupware"] = data / Path(calendars.FOLDER).name
    for live in found.values():
        if os.path.ismount(live):
            fix = "mount the disk at the folder above, so that its content can change places"
            raise Refused(
                Problem("restore", "is a mount point, which cannot be swapped", fix, value=str(live))
            )
    return {name: Place(live, id) for name, live in found.items()}


def scratch(context: Context, home: Path, secrets_folder: Path) -> Scratch:
    return Scratch(context, home, "restore", ("mariadb",), secrets_folder)


def scratch_home(context: Context, id: str) -> Path:
    return context.folder("SSD_PATH", "") / f".restore-{id}"


def prepare(
    context: Context,
    snapshot: Snapshot,
    components: Iterable[str],
    place: dict[str, Place],
    identities: list[str],
    leave_out: Iterable[str] = (),
    erased: bool = False,
) -> Iterator[str]:
    """Prepare everything; yields what is about to be done. Raises Refused; nothing live was touched then.

    People who were erased since stay erased, unless `erased` asks for them.
    """
    wanted = set(components)
    if "secrets" in place:
        yield "secrets and certificates"
        _secrets(snapshot, wanted, place["secrets"], identities)
    if "env" in place:
        content = stage.unseal(snapshot.path / "config" / "env.age", identities)
        files.write(place["env"].staged, with_own_settings(content.decode(), place["env"].live))
    if "dkim" in place:
        yield "DKIM keys"
        target = place["dkim"].staged
        target.mkdir(mode=0o700)
        owner = (RSPAMD, RSPAMD) if os.geteuid() == 0 else None
        if owner:
            os.chown(target, *owner)
        stage.unpack(snapshot.path / "dkim" / "keys.tar.age", identities, target, owner)
    if "learned" in place:
        yield "what rspamd has learned"
        learned.put(snapshot.path / learned.FILE, place["learned"].staged)
    if "groupware" in place:
        yield "calendars and address books"
        groupware.put(snapshot.path / groupware.FILE, place["groupware"].staged)
    if "mysql" in place:
        yield "database, in a MariaDB of its own"
        folder = place["secrets"].staged if "secrets" in place else secrets(context)
        beside_it = scratch(context, scratch_home(context, place["mysql"].id), folder)
        _database(beside_it, snapshot, place["mysql"], erased)
    if "mail" in place:
        yield "mailboxes"
        beside = stage.is_disposable(context, snapshot)
        refuse(snapshot, stage.stage_mail(snapshot, place["mail"].staged, set(leave_out), beside))


def _secrets(snapshot: Snapshot, components: set[str], place: Place, identities: list[str]) -> None:
    """What the snapshot has, over a copy of what is there: this host's own keys stay.

    While the database stays, so do its passwords: it knows no older ones, and all mail would be deferred.
    """
    stage.stage_copy(place.live, place.staged)
    kept = set() if "mysql" in components else {n for n in DATABASE_PASSWORDS if (place.live / n).is_file()}
    sealed = {"config": "config/secrets.tar.age", "ssl": "ssl/tls.tar.age"}
    for name in components & sealed.keys():
        stage.unpack(snapshot.path / sealed[name], identities, place.staged, leave_out=kept)


def _database(beside: Scratch, snapshot: Snapshot, place: Place, erased: bool) -> None:
    """A new datadir: the image's first start makes the accounts with the passwords of the secrets folder."""
    try:
        beside.up("mariadb")
        expected = query(beside.compose, REVISION, "mailserver").strip()
        load(beside.compose, snapshot.path / "mysql")
        migrate(beside.compose, beside.context.repo)
        if not erased:
            erase.keep_erased(
                beside.context, lambda database, script: query(beside.compose, script, database)
            )
        restored = query(beside.compose, REVISION, "mailserver").strip()
    finally:
        beside.down()
    (beside.ssd / "mariadb").rename(place.staged)
    remove([beside.home])
    if restored != expected:
        change = f"of revision {restored}, and this version of usermgmt expects {expected}"
        beside.context.out.warn(
            f"the restored tables are {change}: check out the version that made the snapshot"
        )


def with_own_settings(content: str, current: Path) -> str:
    """The restored `.env`, with the lines about this host's folders as they are now."""
    own = {name: line for line in _lines(current) if (name := line.partition("=")[0].strip()) in OWN_SETTINGS}
    restored = [own.pop(line.partition("=")[0].strip(), line) for line in content.splitlines()]
    return "\n".join([*restored, *own.values()]) + "\n"


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.is_file() else []


def volume(project: str, name: str, owner: tuple[int, int]) -> Path:
    """The folder of this host in which the engine keeps a volume; on a new host it is made."""
    with connected() as engine:
        found = engine.volume_path(project, name)
        if found is None:
            found = engine.make_volume(project, name)
            # The engine gives a volume its owner at the first start only while it is empty.
            os.chown(found, *owner)
    return found
