"""A Maildir on this host: of Dovecot, Courier, mailcow or docker-mailserver, or of a mail program."""

from collections.abc import Iterator
from pathlib import Path

from mailctl.backup.restore.stored import utf7
from mailctl.importing.names import from_utf7, place
from mailctl.importing.part import Part


def is_maildir(path: Path) -> bool:
    """Whether mails lie in it as in a Maildir."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def parts(root: Path) -> list[Part]:
    """Its folders: with dots in their names (Maildir++), or as folders in folders."""
    found = []
    for name, maildir in _folders(root):
        to = place(name)
        count = sum(1 for part in ("cur", "new") for _ in (maildir / part).iterdir())
        found.append(Part(name, utf7(to.name), maildir, count, ours=False, renamed=to.renamed))
    return found


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    if is_maildir(root):
        yield "INBOX", root
    for path in sorted(root.rglob("*")):
        if path.name in ("cur", "new", "tmp") or path.is_symlink() or not is_maildir(path):
            continue
        levels = [level.lstrip(".").replace(".", "/") for level in path.relative_to(root).parts]
        yield from_utf7("/".join(levels)), path
