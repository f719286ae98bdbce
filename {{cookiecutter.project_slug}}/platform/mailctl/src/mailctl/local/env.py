"""The local stack's own `.env`: what `.env.example` says, without anything secret."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.env_file import read_env_file
from mailctl.core.local_stack import LocalStack, fixed
from mailctl.secret_files.table import VARIABLES


def prepared(context: Context, overrides: Sequence[Path] = ()) -> LocalStack:
    """The local stack of the repository, its `.env` made if needed. Raises Refused and Misuse."""
    home = context.repo / ".local"
    prepare_env(context.repo / ".env.example", home / ".env", leave_out=fixed(home))
    return LocalStack.of(context, overrides)


def prepare_env(example: Path, target: Path, leave_out: Iterable[str] = ()) -> None:
    """Make `target` from `example`, or add the variables it lacks; what stands there stays.

    Secrets are left out too, so that a placeholder of the example is not taken for one: they are made.
    Raises Refused when either file cannot be read.
    """
    known = read_env_file(example)
    present = set(read_env_file(target).entries) if target.exists() else set()
    unwanted = {*present, *VARIABLES, *leave_out}
    missing = [name for name in known.entries if name not in unwanted]
    if not missing and target.exists():
        return
    lines = [target.read_text("utf-8").rstrip("\n")] if target.exists() else [_HEAD]
    lines += [_line(name, known.entries[name].value, known.entries[name].literal) for name in missing]
    target.parent.mkdir(mode=0o700, exist_ok=True)
    files.write(target, "\n".join(lines) + "\n")


_HEAD = "# Made by make local from .env.example. Change it freely; mailctl only adds what is missing."


def _line(name: str, value: str, literal: bool) -> str:
    """One assignment that reads back as it was: quoted where a bare value would be cut or expanded."""
    if literal:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{name}='{escaped}'"
    if value and (value != value.strip() or any(c in value for c in "#'\"\n\\")):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{name}="{escaped}"'
    return f"{name}={value}"
