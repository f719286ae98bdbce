"""mbox files, of mail programs and of Google Takeout, written out as Maildirs."""

import csv
import mailbox
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path

from mailctl.backup.beside import KEYWORDS, LETTERS
from mailctl.backup.restore import stage
from mailctl.backup.restore.stored import shown, utf7
from mailctl.core.errors import Problem, Refused
from mailctl.importing.names import place
from mailctl.importing.part import Part

# What Gmail's labels of its own mean; Takeout writes them in the language of the account.
INTO = {
    **dict.fromkeys(("inbox", "boîte de réception"), "INBOX"),
    **dict.fromkeys(("sent", "envoyé", "messages envoyés"), "Sent"),
    **dict.fromkeys(("draft", "drafts", "brouillons"), "Drafts"),
    **dict.fromkeys(("spam",), "Junk"),
    **dict.fromkeys(("trash", "corbeille"), "Trash"),
}
UNREAD, STARRED = {"unread", "non lus"}, {"starred", "suivis", "favoris"}
# They name no folder.
STATES = {*UNREAD, *STARRED, "opened", "ouvert", "archived", "archivés", "messages archivés", "important"}
_CATEGORY = re.compile(r"category |catégorie\s*:|imap_", re.IGNORECASE)
# Written into mails by what kept them: dropped, so that a mail is the same one whenever it was exported.
_NOTES = re.compile(
    rb"(?im)^(?:Status|X-Status|X-Keywords|X-Mozilla-(?:Status2?|Keys)|X-Gmail-Labels|X-GM-THRID):"
    rb".*\n(?:[ \t].*\n)*"
)
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|\n")
_QUOTED_FROM = re.compile(rb"(?m)^>(>*From )")
_TIMES = ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y %z")
_LETTERS_OF = {"R": "S", "A": "R", "F": "F", "D": "T", "T": "D"}
# Read, replied, marked.
_BITS = ((1, "S"), (2, "R"), (4, "F"))
EXPUNGED = 8


def write(source: Path, into: Path, tell: Callable[[int, int], None]) -> list[Part]:
    """Write the mails of a file, or of the files in a folder, below `into`; `tell` counts bytes.

    Raises Refused when there is no mbox file.
    """
    files = list(_files(source))
    if not files:
        fix = "name an mbox file, a folder with some, or a Maildir (it has the folders cur and new)"
        raise Refused(Problem("source", "holds no mail that can be read", fix, value=str(source)))
    total, done = sum(path.stat().st_size for _, path in files), 0
    folders: dict[str, Folder] = {}
    for name, path in files:
        for at, envelope, content in _mails(path):
            _take(folders, into, name, envelope, content)
            tell(done + at, total)
        done += path.stat().st_size
    for folder in folders.values():
        folder.finish()
    return [folder.part for folder in folders.values()]


class Folder:
    """A Maildir that is being written."""

    def __init__(self, path: Path, name: str) -> None:
        to = place(name)
        self.part = Part(name, utf7(to.name), path, 0, renamed=to.renamed)
        self.path, self.keywords = path, list[str]()
        for part in ("", "cur", "new", "tmp"):
            stage.make_folder(path / part, stage.vmail())

    def add(self, content: bytes, flags: str, keywords: list[str], at: float) -> None:
        """One mail; `flags` as letters of Maildir."""
        self.part.total += 1
        whole = shown(content)
        letters = flags + "".join(filter(None, map(self._letter, keywords)))
        base = f"{int(at)}.{sha256(whole).hexdigest()[:32]}"
        file = (
            self.path / "cur" / f"{base}_{self.part.total}.import,W={len(whole)}:2,{''.join(sorted(letters))}"
        )
        file.write_bytes(content)
        file.chmod(0o600)
        os.chown(file, *stage.vmail())
        os.utime(file, (at, at))

    def _letter(self, keyword: str) -> str:
        """The letter of a keyword in file names; of more than there are letters for, none."""
        if keyword not in self.keywords and len(self.keywords) < LETTERS:
            self.keywords.append(keyword)
        return chr(ord("a") + self.keywords.index(keyword)) if keyword in self.keywords else ""

    def finish(self) -> None:
        """Write what the letters mean."""
        if self.keywords:
            lines = (f"{number} {keyword}\n" for number, keyword in enumerate(self.keywords))
            (self.path / KEYWORDS).write_text("".join(lines))


def clear(into: Path) -> None:
    """Remove what was written."""
    shutil.rmtree(into, ignore_errors=True)


def _take(folders: dict[str, Folder], into: Path, name: str, envelope: str, content: bytes) -> None:
    """Write one mail into its folders."""
    head, blank, body = _split(content)
    fields = _fields(head)
    names, flags, keywords = [name], _flags(fields), fields.get("x-keywords", "").split()
    if labels := fields.get("x-gmail-labels"):
        names, flags = by_labels(labels)
    if _mozilla(fields) & EXPUNGED:
        return  # deleted; Thunderbird has not compacted the file since
    raw = _NOTES.sub(b"", head) + blank + _QUOTED_FROM.sub(rb"\1", body)
    for each in names:
        if each not in folders:
            folders[each] = Folder(into / str(len(folders)), each)
        folders[each].add(raw, flags, keywords, _received(envelope, fields))


def by_labels(text: str) -> tuple[list[str], str]:
    """The folders that Gmail's labels stand for, and the flags: a mail is in each, as IMAP shows it too."""
    try:
        decoded = str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        decoded = text
    rows = list(csv.reader([re.sub(r"[\r\n]+", "", decoded)], skipinitialspace=True))
    labels = [label.strip() for label in rows[0] if label.strip()] if rows else []
    small = {label.lower() for label in labels}
    own = [label for label in labels if label.lower() not in STATES and not _CATEGORY.match(label)]
    names = list(dict.fromkeys(INTO.get(label.lower(), label) for label in own))
    for alone in ("Trash", "Junk"):
        if alone in names:
            names = [alone]
    flags = ("" if small & UNREAD else "S") + ("F" if small & STARRED else "")
    return names or ["Archive"], flags + ("D" if "Drafts" in names else "")


def size(source: Path) -> int:
    """The bytes of its files."""
    return sum(path.stat().st_size for _, path in _files(source))


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    """mbox files, and the names of their folders as Thunderbird and Apple Mail lay them out."""
    if source.is_file():
        if _is_mbox(source):
            yield _folder_name(Path(source.name)), source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink() and _is_mbox(path):
            yield _folder_name(path.relative_to(source)), path


def _folder_name(path: Path) -> str:
    levels = [re.sub(r"(?i)\.(sbd|mbox|mbx)$", "", level) for level in path.parts]
    return "/".join(levels[:-1] if len(levels) > 1 and levels[-1] == "mbox" else levels)


def _is_mbox(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(5) == b"From "


def _mails(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """Where in the file, the words after From, the mail with LF. A "From " in a text begins no mail."""
    box = mailbox.mbox(path, create=False)
    try:
        with path.open("rb") as file:
            waiting: tuple[int, str, bytes] | None = None
            end, blank = 0, b""
            for key in box.iterkeys():
                whole = box.get_bytes(key, from_=True)
                raw = whole.replace(b"\r\n", b"\n")
                first, _, content = raw.partition(b"\n")
                if waiting and not _HEADER.match(content or b"\n"):
                    waiting = (end, waiting[1], waiting[2] + blank + raw)
                else:
                    if waiting:
                        yield waiting
                    waiting = (end, first[5:].decode("utf-8", "replace"), content)
                end += len(whole)
                # The module leaves out the empty line that ends a mail, but for one that ends with CRLF.
                file.seek(end)
                blank = b"\n" if file.read(1) == b"\n" else b""
                end += len(blank)
                if whole.endswith(b"\r\n\r\n"):
                    blank, waiting = b"\n", (waiting[0], waiting[1], waiting[2][:-1])
            if waiting:
                yield waiting
    finally:
        box.close()


def _split(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, the empty line, and the text without the empty line that ends a mail in an mbox."""
    head, blank, body = content.partition(b"\n\n")
    return (head + b"\n", blank[1:], body) if blank else (content, b"", b"")


def _fields(head: bytes) -> dict[str, str]:
    """The header fields that are looked at, unfolded; of several, the first."""
    found: dict[str, str] = {}
    for line in re.sub(rb"\n(?=[ \t])", b"\r", head).split(b"\n"):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _mozilla(fields: dict[str, str]) -> int:
    """Thunderbird's bits; it writes four hexadecimal digits."""
    found = fields.get("x-mozilla-status", "")
    return int(found, 16) if re.fullmatch(r"[0-9A-Fa-f]{4}", found) else 0


def _flags(fields: dict[str, str]) -> str:
    letters = set(fields.get("status", "") + fields.get("x-status", ""))
    flags = {_LETTERS_OF[letter] for letter in letters if letter in _LETTERS_OF}
    bits = _mozilla(fields)
    return "".join(flags | {letter for bit, letter in _BITS if bits & bit})


def _received(envelope: str, fields: dict[str, str]) -> float:
    """Seconds since 1970: of the line From, else of the field Date, else now."""
    words = envelope.split()
    for form in _TIMES:
        try:
            at = datetime.strptime(" ".join(words[-len(form.split()) :]), form)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    try:
        return parsedate_to_datetime(fields.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return datetime.now(UTC).timestamp()
