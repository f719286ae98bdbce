"""Prepares each component beside what is live: nothing here touches the running server."""

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from mailctl.backup.parts import extract
from mailctl.core import job_results, snapshots
from mailctl.core.context import Context
from mailctl.core.errors import Problem
from mailctl.core.folders import hdd
from mailctl.core.snapshots import Snapshot

# A mail gets a number (UID) from its folder, and a mail program keeps what it has read under that number.
# Numbers given after the snapshot are in no uidlist that comes back: without a gap a new mail would get one
# of them, and the program would show the old mail in its place. No folder receives a million mails between
# two snapshots, and numbers go up to four thousand million.
UID_GAP = 1_000_000
UID_LAST = 4_000_000_000
VMAIL, UIDLIST, CHUNK = 1000, "dovecot-uidlist", 1 << 20
_NEXT_UID = re.compile(rb"^(3 (?:\S+ )*?N)(\d+)")


def is_disposable(context: Context, snapshot: Snapshot) -> bool:
    """Whether it was fetched for this once: its files need not be copied, which takes half the room."""
    return snapshot.path.is_relative_to(hdd(context) / job_results.FOLDER)


def stage_mail(
    snapshot: Snapshot, target: Path, leave_out: Collection[str] = (), disposable: bool = False
) -> list[Problem]:
    """Copy the mailboxes for the user that Dovecot runs as; returns what differs from the manifest.

    Compared on the way, so that every mail is read once. Copied, not linked: a container that writes to a
    mail must not reach the snapshot, but for a `disposable` one on the same disk. A file's time is IMAP's
    date. `leave_out`, files and folders, counts from the snapshot.
    """
    root, owner = str(snapshot.path / "mail"), vmail()
    without = {str(snapshot.path / path) for path in leave_out}
    below = tuple(f"{path}/" for path in without)
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if f"{folder}/{name}" not in without]
        place = Path(f"{target}{folder.removeprefix(root)}")
        make_folder(place, owner)
        if "cur" in names and "tmp" not in names:
            make_folder(place / "tmp", owner)

    def staged(path: Path) -> str:
        source = str(path)
        to = "" if source in without or source.startswith(below) else f"{target}{source.removeprefix(root)}"
        return copy(source, to, owner, disposable)

    problems = snapshots.verify(snapshot, ["mail"], digest=staged)
    for path, goal in () if problems else snapshot.manifest.links.items():
        if str(snapshot.path / path).startswith(below):
            continue
        link = f"{target}/{path.removeprefix('mail/')}"
        os.symlink(goal, link)
        os.lchown(link, *owner)
    return problems


def vmail() -> tuple[int, int]:
    """The user that Dovecot runs as, for chown; nobody but root can give files away."""
    return (VMAIL, VMAIL) if os.geteuid() == 0 else (-1, -1)


def make_folder(path: Path, owner: tuple[int, int]) -> None:
    """A private folder of that owner."""
    os.mkdir(path, 0o700)
    os.chown(path, *owner)


def copy(source: str, target: str, owner: tuple[int, int], link: bool = False) -> str:
    """Copy a file in pieces, or `link` it, unless `target` is empty; returns the SHA-256 of what was read."""
    digest = hashlib.sha256()
    numbered = target.endswith(f"/{UIDLIST}")
    linked = bool(target) and link and not numbered
    with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        pieces = _pieces(file, digest, min(CHUNK, status.st_size + 1))
        if numbered:
            new = with_gap(b"".join(pieces))
            pieces, target = iter([new or b""]), "" if new is None else target
        to = "" if linked else target
        with open(_new(to), "wb") as copied:
            for piece in pieces:
                copied.write(piece)
            if to:
                copied.flush()
                os.fchown(copied.fileno(), *owner)
                os.utime(copied.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
    if linked:
        os.link(source, target, follow_symlinks=False)
        os.chmod(target, 0o600)
        os.chown(target, *owner, follow_symlinks=False)
    return digest.hexdigest()


def _new(target: str) -> int:
    if not target:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _pieces(file: IO[bytes], digest: "hashlib._Hash", size: int) -> Iterator[bytes]:
    while piece := file.read(size):
        digest.update(piece)
        yield piece


def with_gap(uidlist: bytes) -> bytes | None:
    """The uidlist with its next UID raised. None when that cannot be: Dovecot then makes one, with a new
    UIDVALIDITY, at which mail programs fetch the folder again.
    """
    found = _NEXT_UID.match(uidlist)
    if not found or int(found[2]) + UID_GAP > UID_LAST:
        return None
    return found[1] + str(int(found[2]) + UID_GAP).encode() + uidlist[found.end() :]


def stage_copy(live: Path, target: Path) -> None:
    """A copy of the folder as it is, owners and modes included; what comes back is written over it."""
    target.mkdir(mode=0o700)
    if live.is_dir():
        shutil.copytree(live, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy_with_owner)
        _own_like(live, target)


def _copy_with_owner(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    _own_like(Path(source), Path(target))


def _own_like(source: Path, target: Path) -> None:
    status = source.lstat()
    if os.geteuid() == 0:
        os.lchown(target, status.st_uid, status.st_gid)


def unseal(sealed: Path, identities: list[str]) -> bytes:
    """The content of an age file. Raises Refused when none of the identities opens it."""
    from mailctl.core import encryption

    content = io.BytesIO()
    with open(sealed, "rb") as source:
        encryption.decrypt(source, content, identities)
    return content.getvalue()


def unpack(
    sealed: Path,
    identities: list[str],
    target: Path,
    owner: tuple[int, int] | None = None,
    leave_out: Collection[str] = (),
) -> list[str]:
    """Write the files of an encrypted archive into the folder `target`, but for some; returns their names."""
    with tarfile.open(fileobj=io.BytesIO(unseal(sealed, identities))) as tar:
        return extract(tar, sealed.name, target, owner, leave_out)
