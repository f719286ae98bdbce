"""Takes a snapshot: each component by itself, built beside, put in place at the end."""

import errno
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailctl import __version__
from mailctl.backup import groupware, learned, parts, publish, share
from mailctl.backup.mailcopy import MailCopy, index_digest
from mailctl.core import containers, database, encryption
from mailctl.core import groupware as calendars
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd
from mailctl.core.format import size
from mailctl.core.progress import Bars
from mailctl.core.snapshots import Snapshot, every, read

# What must stay free besides the new mail, in bytes, and what a new file takes beside its content.
RESERVE, FILE_OVERHEAD = 64 << 20, 4096
FULL = (errno.ENOSPC, errno.EDQUOT)


class NoRoom(Refused):
    """The disk is full, or would be: the whole run ends."""


@dataclass
class Outcome:
    """What a run did: the snapshot, or why there is none that is good; sizes in bytes."""

    snapshot: Snapshot
    kept: bool = True
    new: int = 0
    new_bytes: int = 0
    weekly: str | None = None
    expired: list[str] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        """The components that were not saved, and why."""
        return {n: c["error"] for n, c in self.snapshot.manifest.components.items() if not c["ok"]}

    def as_dict(self) -> dict[str, Any]:
        components = self.snapshot.manifest.components
        counted = {
            n: {k: c[k] for k in ("ok", "files", "bytes", "error") if k in c} for n, c in components.items()
        }
        place = {"id": self.snapshot.id, "path": str(self.snapshot.path)}
        about = {**place, "ok": not self.failed, "kept": self.kept}
        what = {"new_messages": self.new, "new_bytes": self.new_bytes, "expired": self.expired}
        return {**about, **what, "weekly": self.weekly, "components": counted}


def take(context: Context, weekly: bool, bars: Bars) -> Outcome:
    """Take the snapshot of today; the lock is the caller's. Raises Refused: no key, no disk, no room.

    A component that fails is left out and named in the manifest; a good snapshot of the same day then stays.
    A weekly one keeps nothing of the snapshot before without comparing it with its checksum.
    """
    root, recipients = hdd(context), encryption.recipients(context)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a mailbox of a thousand folders
    publish.clear_leftovers(root)
    final = root / "daily" / today(context)
    built = publish.partial(final)
    built.mkdir(mode=0o700)
    run = Run(context, built, _with_mail(root), recipients, bars, compare=weekly)
    try:
        outcome = _finish(run, final)
    except OSError as error:
        if error.errno in FULL:
            raise _full(root) from None
        raise Refused(
            Problem("HDD_PATH", f"fails: {error}", "look after the disk: dmesg", value=str(root))
        ) from None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        shutil.rmtree(built, ignore_errors=True)
    if weekly and not outcome.failed:
        outcome.weekly = _weekly(root, outcome.snapshot)
    outcome.expired = publish.expire(root, outcome.snapshot.id)
    return outcome


def today(context: Context) -> str:
    """The date of the owner's time zone."""
    try:
        zone = ZoneInfo(context.setting("TZ", "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return datetime.now(zone).date().isoformat()


@dataclass
class Run:
    """One snapshot in the making."""

    context: Context
    folder: Path
    previous: Snapshot | None
    recipients: list[str]
    bars: Bars
    compare: bool = False
    new: int = 0
    new_bytes: int = 0

    def components(self) -> dict[str, dict[str, Any]]:
        """Every component, each as the manifest describes it; of several hosts, those of this one."""
        context, folder, wanted = self.context, self.folder, share.components(self.context)
        takers: dict[str, Callable[[], list[str]]] = {
            "mysql": lambda: database.dump(context, folder),
            "config": lambda: parts.config(context, folder, self.recipients),
            "ssl": lambda: parts.ssl(context, folder, self.recipients),
            "dkim": lambda: parts.dkim(context, folder, self.recipients),
            "learned": lambda: learned.save(context, folder),
        }
        if calendars.here(context):
            takers["groupware"] = lambda: groupware.save(context, folder)
        found = {"mail": self._attempt("mail", self._mail)} if wanted is None or "mail" in wanted else {}
        takers = {name: taker for name, taker in takers.items() if wanted is None or name in wanted}
        for name, taker in takers.items():
            with self.bars.task(name):
                found[name] = self._attempt(name, partial(self._taken, taker))
        return found

    def _taken(self, taker: Callable[[], list[str]]) -> dict[str, Any]:
        return self._listed(taker())

    def _attempt(self, name: str, taker: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """One component; its failure is told and leaves nothing of it, and the others go on."""
        try:
            return taker()
        except NoRoom:
            raise
        except (Refused, OSError, subprocess.SubprocessError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            shutil.rmtree(self.folder / name, ignore_errors=True)
            if name == "mail":
                (self.folder / manifest.MAIL_INDEX).unlink(missing_ok=True)
            self.context.out.warn(f"{name} was not saved: {error}")
            return {"ok": False, "error": str(error)}

    def _mail(self) -> dict[str, Any]:
        previous = self.previous.path if self.previous else None
        source, homes = hdd(self.context) / "mailboxes", share.homes(self.context)
        with MailCopy(source, self.folder, previous, self.compare, homes) as mail:
            files, new_bytes = mail.plan()
            self._need_room(files, new_bytes)
            with self.bars.task("mail", mail.total) as advance:
                copied = mail.copy(advance)
        self.new, self.new_bytes = copied.new, copied.new_bytes
        return copied.component(index_digest(self.folder))

    def _need_room(self, files: int, new_bytes: int) -> None:
        known = self.previous.manifest.components.items() if self.previous else ()
        others = sum(component.get("bytes", 0) for name, component in known if name != "mail")
        need = new_bytes + files * FILE_OVERHEAD + 2 * others + RESERVE
        free = shutil.disk_usage(self.folder).free
        if need > free:
            raise _full(hdd(self.context), f"the snapshot needs {size(need)}, {size(free)} are free")

    def _listed(self, paths: list[str]) -> dict[str, Any]:
        files = [self.folder / path for path in paths]
        entries = {
            path: {"sha256": manifest.file_digest(file), "size": file.stat().st_size}
            for path, file in zip(paths, files, strict=True)
        }
        total = sum(file.stat().st_size for file in files)
        return {"ok": True, "files": len(files), "bytes": total, "list": entries}


def _finish(run: Run, final: Path) -> Outcome:
    started, context = manifest.now(), run.context
    components = run.components()
    document = {
        **{"version": 1, "id": f"daily/{final.name}", "kind": "daily", "started": started},
        **{"finished": manifest.now(), "host": socket.gethostname(), "project": context.project_name},
        **{"mail_domain": context.setting("MAIL_DOMAIN"), "git_commit": parts.commit(context)},
        **{"mailctl": __version__, "images": _images(context), "recipients": run.recipients},
        **{"schema_revision": database.schema_revision(context), "components": components},
        **share.described(context),
    }
    saved = manifest.save(run.folder, document)
    if not saved.ok and _good(final):
        return Outcome(Snapshot(final, saved), kept=False, new=run.new, new_bytes=run.new_bytes)
    publish.publish(run.folder, final)
    return Outcome(Snapshot(final, saved), new=run.new, new_bytes=run.new_bytes)


def _with_mail(root: Path) -> Snapshot | None:
    """The newest snapshot that has the mail, whatever else failed: only new mail is copied then too."""
    kept = (found for found in reversed(every(root)) if found.manifest.components.get("mail", {}).get("ok"))
    return next(kept, None)


def _good(path: Path) -> bool:
    try:
        return read(path).good
    except Refused:
        return False


def _weekly(root: Path, daily: Snapshot) -> str:
    """The same files once more under weekly/, by hard links: it stays when the daily one goes."""
    final = root / "weekly" / daily.path.name
    built = publish.partial(final)
    publish.link_tree(daily.path, built)
    (built / manifest.FILE).unlink()
    about = {"id": f"weekly/{final.name}", "kind": "weekly"}
    manifest.save(built, {**daily.manifest.document, **about})
    publish.publish(built, final)
    return about["id"]


def _images(context: Context) -> dict[str, str]:
    try:
        return {name: state.image for name, state in containers.all_of(context).items()}
    except Refused:
        return {}


def _full(root: Path, wrong: str = "the disk is full; the unfinished snapshot was removed") -> NoRoom:
    fix = "make room: docs/how-do-i.md; older snapshots stay until a newer good one is there"
    return NoRoom(Problem("HDD_PATH", wrong, fix, value=str(root)))
