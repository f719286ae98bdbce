"""What an import works with: folders of mails as Maildirs, and where each of them goes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mailctl.backup.restore import stored
from mailctl.backup.restore.stored import Mail
from mailctl.importing.names import from_utf7

# What Dovecot and Courier write into file names: sizes, wrong ones after a mail was edited by hand.
_SIZES = re.compile(r",[SW]=\d+")


@dataclass
class Part:
    """A folder of mails: its `name` there, the folder `to` here, and how many mails it has there.

    `rest`: Gmail's "All Mail", of which only those count that no other folder has. `ours`: the Maildir was
    written by this import, so its files can be linked, and the sizes in their names are right.
    """

    name: str
    to: str
    maildir: Path
    total: int
    rest: bool = False
    ours: bool = True
    renamed: bool = False
    left_out: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def mails(self) -> Iterator[Mail]:
        """The mails that were fetched; nothing that is no plain file."""
        for mail in stored.mails(self.maildir):
            if mail.path.is_file() and not mail.path.is_symlink():
                yield mail

    def file_name(self, mail: Mail) -> str:
        """The mail's name below a Maildir that Dovecot reads."""
        return mail.name if self.ours else _SIZES.sub("", mail.name)

    def size(self, mail: Mail) -> int:
        """Bytes as IMAP counts them."""
        if self.ours and ",W=" in mail.name:
            return mail.size
        return sum(map(len, stored.pieces(mail.path)))

    def report(self) -> dict[str, object]:
        """For --json."""
        flags = {"renamed": self.renamed, "left_out": self.left_out}
        return {"folder": self.name, "to": from_utf7(self.to), "there": self.total, **self.counts, **flags}
