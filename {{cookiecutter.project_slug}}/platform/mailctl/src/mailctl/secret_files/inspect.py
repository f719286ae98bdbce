"""Looks at every secret file without showing any: is it there, closed, young enough, still valid."""

import os
import stat
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailctl.core.context import Context
from mailctl.core.hosts import recreated, several
from mailctl.secret_files.store import FOLDER_MODE, Store, opened
from mailctl.secret_files.table import Derived, Source, used

PRESENT, EMPTY, MISSING = "present", "empty", "missing"
SECONDS_A_DAY = 86400
INIT = "make setup"


@dataclass(frozen=True)
class Finding:
    """The state of one file. Ages and remaining validity are in whole days."""

    name: str
    state: str
    needed: bool
    mode: str | None
    mode_ok: bool
    age_days: int | None
    rotate_days: int | None
    expires_days: int | None
    readers: tuple[str, ...]
    todo: str | None

    @property
    def failed(self) -> bool:
        """Unusable for the stack: missing, empty although needed, or an expired certificate."""
        unusable = self.state == MISSING or (self.state == EMPTY and self.needed)
        return unusable or (self.expires_days is not None and self.expires_days < 0)

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "due": self.due, "failed": self.failed}

    @property
    def due(self) -> str | None:
        """The day from which a rotation is due, as YYYY-MM-DD; None where no calendar asks for one."""
        if self.rotate_days is None or self.age_days is None:
            return None
        return (datetime.now(UTC) + timedelta(days=self.rotate_days - self.age_days)).date().isoformat()


@dataclass(frozen=True)
class Inspection:
    folder: Path
    folder_ok: bool
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(finding.failed for finding in self.findings)


def inspect(context: Context, folder: Path) -> Inspection:
    """The state of all secret files in `folder`. Raises Refused when the folder cannot be looked into."""
    wanted = used(several(context))
    with opened(folder, create=False) as store:
        mode = stat.S_IMODE(folder.lstat().st_mode)
        findings = tuple(_finding(context, store, entry) for entry in wanted.entries)
    return Inspection(folder, mode == FOLDER_MODE, findings)


def _finding(context: Context, store: Store, entry: Source | Derived) -> Finding:
    found = store.stat(entry.file)
    content = store.read(entry.file) if found else None
    state = MISSING if content is None else PRESENT if content else EMPTY
    needed = isinstance(entry, Derived) or entry.make is not None
    mode = stat.S_IMODE(found.st_mode) if found else None
    rotate = entry.rotate_days if isinstance(entry, Source) else None
    age = _age_days(found) if found and state == PRESENT else None
    expires = _expires_days(entry, content or b"")
    return Finding(
        name=entry.file,
        state=state,
        needed=needed,
        mode=f"{mode:04o}" if mode is not None else None,
        mode_ok=mode is None or mode == entry.mode,
        age_days=age,
        rotate_days=rotate,
        expires_days=expires,
        readers=entry.readers,
        todo=_todo(context, entry, state, mode, age, expires),
    )


def _age_days(status: os.stat_result) -> int:
    return max(0, int((datetime.now(UTC).timestamp() - status.st_mtime) // SECONDS_A_DAY))


def _expires_days(entry: Source | Derived, content: bytes) -> int | None:
    if isinstance(entry, Source) or not entry.certificate or not content:
        return None
    from mailctl.secret_files.certificates import parse

    certificate = parse(content)
    return (certificate.not_valid_after_utc - datetime.now(UTC)).days if certificate else -1


def _todo(
    context: Context,
    entry: Source | Derived,
    state: str,
    mode: int | None,
    age: int | None,
    expires: int | None,
) -> str | None:
    """The one most urgent thing to do about the file, None when there is nothing."""
    if state == MISSING:
        return INIT
    if state == EMPTY:
        return _todo_empty(entry)
    if mode != entry.mode:
        return f"mode must be {entry.mode:04o}: {INIT}"
    if expires is not None and (when := _ending(expires)):
        return f"{when}: {INIT} renews it; then {recreated(context, entry.readers)}"
    if isinstance(entry, Source) and entry.rotate_days and age is not None and age > entry.rotate_days:
        return f"rotation is due: {rotation(entry)}"
    return None


def _ending(days: int) -> str:
    """What to say of a certificate with so few days left that it is renewed, else nothing."""
    from mailctl.secret_files.certificates import RENEW_DAYS

    if days >= RENEW_DAYS:
        return ""
    return "has expired" if days < 0 else f"expires in {days} days"


def _todo_empty(entry: Source | Derived) -> str:
    if isinstance(entry, Source) and entry.make is None and entry.variable is None:
        return f"{entry.empty_means}: {entry.replace}"
    if isinstance(entry, Source) and entry.make is None:
        return f"{entry.empty_means}: put {entry.variable} into .env, then {INIT}"
    return INIT


def rotation(source: Source) -> str:
    """How this secret is changed."""
    return source.replace
