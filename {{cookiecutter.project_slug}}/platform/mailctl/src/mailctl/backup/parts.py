"""The small components: repository, settings and secrets, certificates, DKIM keys. Secrets only encrypted."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from mailctl.core import encryption
from mailctl.core.containers import copy_out
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets
from mailctl.core.hosts import several
from mailctl.secret_files.store import opened
from mailctl.secret_files.table import used

DKIM_FOLDER = "/var/lib/rspamd/dkim"
CERTIFICATES = (".key", ".crt")
TIME_LIMIT_SECONDS = 300


def config(context: Context, folder: Path, recipients: list[str]) -> list[str]:
    """The repository as a git bundle, .env and the secret files; not the key that decrypts them."""
    (folder / "config").mkdir()
    _git(context, "bundle", "create", "--quiet", str(folder / "config/repository.bundle"), "HEAD")
    _encrypt(context.env_path.read_bytes(), folder / "config/env.age", recipients)
    _encrypt(_secrets(context, _is_secret), folder / "config/secrets.tar.age", recipients)
    return ["config/repository.bundle", "config/env.age", "config/secrets.tar.age"]


def ssl(context: Context, folder: Path, recipients: list[str]) -> list[str]:
    """The internal authority, and the services' keys and certificates."""
    (folder / "ssl").mkdir()
    content = _secrets(context, lambda name: name.endswith(CERTIFICATES))
    _encrypt(content, folder / "ssl/tls.tar.age", recipients)
    return ["ssl/tls.tar.age"]


def dkim(context: Context, folder: Path, recipients: list[str]) -> list[str]:
    """The DKIM keys, out of rspamd's volume; its container need not run."""
    with TemporaryFile() as copied:
        copy_out(context, "rspamd", DKIM_FOLDER, copied)
        with tarfile.open(fileobj=copied) as archive:
            if not any(name.endswith(".key") for name in archive.getnames()):
                raise Refused(Problem(DKIM_FOLDER, "holds no key", "make dkim-status", value="rspamd"))
        copied.seek(0)
        (folder / "dkim").mkdir()
        _encrypt(copied.read(), folder / "dkim/keys.tar.age", recipients)
    return ["dkim/keys.tar.age"]


def extract(
    tar: tarfile.TarFile,
    called: str,
    target: Path,
    owner: tuple[int, int] | None = None,
    leave_out: Collection[str] = (),
) -> list[str]:
    """Write the files of an archive, which messages name as `called`, into `target`; returns their names.

    Only plain files are taken, without the one folder they may be in. Raises Refused for anything else.
    """
    names = []
    for member in (one for one in tar if not one.isdir()):
        folder, _, name = member.name.rpartition("/")
        content = tar.extractfile(member) if member.isreg() else None
        if content is None or "/" in folder or name in ("", ".", ".."):
            wrong = f"holds {member.name!r}, and only plain files are expected"
            raise Refused(Problem(called, wrong, "use another snapshot"))
        if name not in leave_out:
            _write(target / name, content, member.mode & 0o777, owner)
            names.append(name)
    return names


def _write(path: Path, content: IO[bytes], mode: int, owner: tuple[int, int] | None) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file)
        os.fchmod(file.fileno(), mode)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), *(owner or (path.parent.stat().st_uid, path.parent.stat().st_gid)))


def commit(context: Context) -> str | None:
    """The repository's commit; None where there is none."""
    try:
        return _git(context, "rev-parse", "HEAD").strip()
    except (Refused, OSError):
        return None


def _git(context: Context, *words: str) -> str:
    """Git as root in a repository that may belong to somebody else, which it would refuse."""
    command = ["git", "-c", f"safe.directory={context.repo}", "-C", str(context.repo), *words]
    done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT_SECONDS, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        fix = f"the repository must be under git, with a commit: git -C {context.repo} log -1"
        raise Refused(Problem(f"git {words[0]}", said or "failed", fix))
    return done.stdout.decode()


def _is_secret(name: str) -> bool:
    return not name.endswith(CERTIFICATES) and not name.startswith(".") and name != encryption.HOST_IDENTITY


def _secrets(context: Context, wanted: Callable[[str], bool]) -> bytes:
    """A tar of the chosen files of the secrets folder, with their modes. Raises Refused: one is missing."""
    folder, target = secrets(context), io.BytesIO()
    needed = {entry.file for entry in used(several(context)).entries if wanted(entry.file)}
    if missing := sorted(name for name in needed if not (folder / name).exists()):
        raise Refused(Problem(", ".join(missing), "is missing in the secrets folder", "make setup"))
    with opened(folder, create=False) as store, tarfile.open(fileobj=target, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            if not wanted(path.name) or (content := store.read(path.name)) is None:
                continue
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode = len(content), path.lstat().st_mode & 0o777
            entry.mtime = int(path.lstat().st_mtime)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def _encrypt(content: bytes, path: Path, recipients: list[str]) -> None:
    with path.open("xb") as file:
        encryption.encrypt(io.BytesIO(content), file, recipients)
