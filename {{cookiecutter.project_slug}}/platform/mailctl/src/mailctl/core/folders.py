"""Where the disk and the secrets of a server are."""

from pathlib import Path

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused


def private(folder: Path) -> Path:
    """Make a folder and those above it that are missing, each for its owner alone, which mkdir does not."""
    for each in (*reversed(folder.parents), folder):
        each.mkdir(mode=0o700, exist_ok=True)
    return folder


def hdd(context: Context) -> Path:
    """HDD_PATH. Raises Refused when it is not set, or has no mailboxes: the disk is not mounted."""
    if not context.setting("HDD_PATH"):
        raise Refused(Problem("HDD_PATH", "is not set", "write HDD_PATH=/absolute/path into .env"))
    path = context.folder("HDD_PATH", "")
    if not (path / "mailboxes").is_dir():
        wrong = "has no folder mailboxes: is the disk mounted?"
        raise Refused(Problem("HDD_PATH", wrong, f"mount {path}; on a new host: make setup", value=str(path)))
    return path


def secrets(context: Context) -> Path:
    """The folder of the secret files."""
    return context.folder("SECRETS_DIR", "secrets")
