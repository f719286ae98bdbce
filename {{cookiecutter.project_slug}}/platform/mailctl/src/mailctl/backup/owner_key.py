"""The owner's age key: made here once, its public half kept in .env, its secret half nowhere on this host."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mailctl.core import encryption, signing
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused


@dataclass(frozen=True)
class OwnerKey:
    """A new pair; `setting` is the line of .env that holds the public half."""

    public: str
    secret: str
    setting: str


def make(context: Context, out: Path | None, add: bool) -> OwnerKey:
    """Make a pair and add it to BACKUP_AGE_RECIPIENTS. Raises Refused: one is there, and no `add`."""
    known = [word for word in re.split(r"[\s,]+", context.setting(encryption.SETTING)) if word]
    if known and not add:
        wrong = "names a key already; another one would be one more that can read every backup"
        fix = "keep using it; if it is lost: make backup-key ARGS=--add, then remove the old one from .env"
        raise Refused(Problem(encryption.SETTING, wrong, fix, value=", ".join(known)))
    secret = encryption.new_identity().decode()
    public = encryption.public(secret.splitlines()[-1])
    secret = f"{signed_by(context)}\n{secret}"
    if out:
        _write_new(out.expanduser(), secret)
    line = f"{encryption.SETTING}={','.join([*known, public])}"
    _set_line(context.env_path, line)
    return OwnerKey(public, secret, line)


def signed_by(context: Context) -> str:
    """The line of the owner's key file that tells this host's copies from planted ones. Raises Refused."""
    found = signing.line(context)
    if found is None:
        wrong = "is missing: copies of this host could not be told from planted ones"
        raise Refused(Problem(f"secrets/{signing.KEY_FILE}", wrong, "make setup"))
    return found


def _write_new(path: Path, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        fix = "name a file that does not exist yet, in a folder that does"
        raise Refused(Problem("--out", f"cannot be made: {error.strerror}", fix, value=str(path))) from None
    with os.fdopen(fd, "w") as file:
        file.write(text)


def _set_line(env: Path, line: str) -> None:
    """Replace the setting's line in .env, or add it; the rest stays as it is. In one step, mode 0600."""
    text = env.read_text("utf-8")
    pattern = re.compile(rf"^{encryption.SETTING}=.*$", re.MULTILINE)
    changed = pattern.sub(line, text) if pattern.search(text) else f"{text.rstrip()}\n{line}\n"
    beside = env.with_name(f"{env.name}.new")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(changed)
    beside.replace(env)
