"""Prepares each component beside what is live: nothing here touches the running server."""

import io
import os
import re
import shutil
import tarfile
from collections.abc import Collection
from pathlib import Path

from mailctl.errors import Problem, Refused

# A mail gets a number (UID) from its folder, and a mail program keeps what it has read under that number.
# Numbers given after the snapshot are in no uidlist that comes back: without a gap a new mail would get one
# of them, and the program would show the old mail in its place. No folder receives a million mails between
# two snapshots, and numbers go up to four thousand million.
UID_GAP = 1_000_000
UID_LAST = 4_000_000_000
VMAIL = 1000
_NEXT_UID = re.compile(rb"^(3 (?:\S+ )*?N)(\d+)")


def stage_mail(source: Path, target: Path, leave_out: Collection[str] = ()) -> None:
    """Copy the mailboxes below `source` for the user that Dovecot runs as; a file's time is IMAP's date.

    Copied, not linked: a container that writes to a mail must not reach the snapshot. `leave_out` names
    paths below `source`.
    """
    owner = (VMAIL, VMAIL) if os.geteuid() == 0 else (-1, -1)
    _make_folder(target, owner)
    for folder, names, files in os.walk(source):
        below = Path(folder).relative_to(source)
        names.sort()
        for name in (*names, *(["tmp"] if "cur" in names and "tmp" not in names else [])):
            if not (Path(folder) / name).is_symlink():
                _make_folder(target / below / name, owner)
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            if str(below / name) not in leave_out:
                _copy(Path(folder) / name, target / below / name, owner)


def _make_folder(path: Path, owner: tuple[int, int]) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, *owner)


def _copy(source: Path, target: Path, owner: tuple[int, int]) -> None:
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
        os.lchown(target, *owner)
        return
    if source.name == "dovecot-uidlist":
        content = with_gap(source.read_bytes())
        if content is None:
            return
        target.write_bytes(content)
    else:
        shutil.copyfile(source, target)
    os.chmod(target, 0o600)
    os.chown(target, *owner)
    status = source.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


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
    from mailctl.backup import crypt

    content = io.BytesIO()
    with open(sealed, "rb") as source:
        crypt.decrypt(source, content, identities)
    return content.getvalue()


def unpack(
    sealed: Path, identities: list[str], target: Path, owner: tuple[int, int] | None = None
) -> list[str]:
    """Write the files of an encrypted archive into the folder `target`; returns their names.

    Only plain files directly in `target` are taken. Raises Refused for anything else.
    """
    names = []
    with tarfile.open(fileobj=io.BytesIO(unseal(sealed, identities))) as tar:
        for member in (one for one in tar if not one.isdir()):
            name, content = (
                member.name.removeprefix("./"),
                tar.extractfile(member) if member.isreg() else None,
            )
            if content is None or "/" in name or name in ("", ".", ".."):
                wrong = f"holds {member.name!r}, and only plain files are expected"
                raise Refused(Problem(sealed.name, wrong, "use another snapshot", value=str(sealed)))
            _write(target / name, content.read(), member.mode & 0o777, owner)
            names.append(name)
    return names


def _write(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), *(owner or (path.parent.stat().st_uid, path.parent.stat().st_gid)))
