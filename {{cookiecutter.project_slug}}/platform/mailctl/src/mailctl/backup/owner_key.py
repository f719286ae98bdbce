"""The owner's age key: made here once, its public half kept in .env, its secret half nowhere on this host."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mailctl.core import encryption, signing
from mailctl.core.context import Context
from mailctl.core.env_file import set_lines
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
    all_keys = ",".join([*known, public])
    set_lines(context.env_path, {encryption.SETTING: all_keys})
    return OwnerKey(public, secret, f"{encryption.SETTING}={all_keys}")


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
