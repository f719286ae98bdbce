"""What the tests of restore share: a server's folders with mail in them, and snapshots of another state."""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mailctl.core import encryption
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.snapshots import Snapshot, read

UIDLIST = "3 V1700000000 N{next} G0123456789abcdef0123456789abcdef\n1 :1.one\n2 :2.two\n"
WHEN = datetime(2026, 11, 20, 3, tzinfo=UTC).timestamp()


def mail(subject: str, size: int = 60) -> bytes:
    head = f"From: a@sender.example\nSubject: {subject}\nMessage-ID: <{subject}@sender.example>\n\n"
    return head.encode() + b"x" * size + b"\n"


def write_mailbox(vmail: Path, address: str, folders: dict[str, dict[str, bytes]]) -> None:
    """A mailbox as Dovecot keeps it: `folders` by IMAP name, each with files such as `1.one:2,S`."""
    name, _, domain = address.partition("@")
    root = vmail / domain / name / "mail"
    for folder, files in folders.items():
        maildir = root if folder == "INBOX" else root / f".{folder.replace('/', '.')}"
        for part in ("cur", "new"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            path = maildir / ("cur" if ":2," in file else "new") / file
            path.write_bytes(content)
            os.utime(path, (WHEN, WHEN))
        (maildir / "dovecot-uidlist").write_text(UIDLIST.format(next=len(files) + 1))
        (maildir / "dovecot-keywords").write_text("0 $Forwarded\n1 work\n")
    (root.parent / "sieve").mkdir(exist_ok=True)
    (root.parent / "sieve" / "rules.sieve").write_text("keep;\n")
    (root.parent / ".dovecot.sieve").symlink_to("sieve/rules.sieve")


@dataclass(frozen=True)
class Sealed:
    """The encrypted parts of a snapshot, and who can open them."""

    recipients: list[str]
    env: bytes = b"MAIL_DOMAIN=example.com\nADMIN_EMAIL=old@example.com\nWEBMAIL_HOST=mail.example.com\n"


LEARNED = {
    "appendonlydir/appendonly.aof.manifest": b"file appendonly.aof.1.base.rdb seq 1 type b\n",
    "appendonlydir/appendonly.aof.1.base.rdb": b"REDIS of then",
}
OF_THE_DATABASE = ("postfix_db_password", "dovecot_db.conf")


def make_snapshot(
    hdd: Path, id: str, mailboxes: dict[str, dict[str, dict[str, bytes]]], sealed: Sealed, started: str = ""
) -> Snapshot:
    """A whole good snapshot below `hdd`, with a manifest that fits it."""
    path = hdd / id
    path.mkdir(parents=True)
    for address, folders in mailboxes.items():
        write_mailbox(path / "mail", address, folders)
    (path / "mail").mkdir(exist_ok=True)
    for name in ("mysql", "config", "ssl", "dkim", "learned"):
        (path / name).mkdir()
    for name in ("mailserver", "roundcube"):
        (path / "mysql" / f"{name}.sql.gz").write_bytes(gzip.compress(b"SELECT 1;\n"))
    (path / "config" / "repository.bundle").write_bytes(b"bundle of git")
    _seal(path / "config" / "env.age", sealed.env, sealed)
    secrets = {"relay_password": b"restored relay\n", **dict.fromkeys(OF_THE_DATABASE, b"outdated\n")}
    _seal(path / "config" / "secrets.tar.age", archive(secrets), sealed)
    _seal(path / "ssl" / "tls.tar.age", archive({"dovecot_tls.key": b"restored key\n"}), sealed)
    _seal(path / "dkim" / "keys.tar.age", archive({"dkim/example.com.s1.key": b"restored dkim\n"}), sealed)
    (path / "learned" / "valkey.tar").write_bytes(archive(LEARNED))
    started = started or f"{id.partition('/')[2]}T02:00:00Z"
    manifest.save(path, _manifest(path, id, started, mailboxes, sealed))
    return read(path)


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o444
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _seal(path: Path, content: bytes, sealed: Sealed) -> None:
    with path.open("wb") as file:
        encryption.encrypt(io.BytesIO(content), file, sealed.recipients)


def _manifest(path: Path, id: str, started: str, mailboxes: dict, sealed: Sealed) -> dict:
    found = (p for p in (path / "mail").rglob("*") if p.is_file() and not p.is_symlink())
    files = sorted(found, key=str)
    index = b"".join(manifest.index_line(str(p.relative_to(path)), digest(p.read_bytes())) for p in files)
    (path / manifest.MAIL_INDEX).write_bytes(index)
    links = {str(p.relative_to(path)): os.readlink(p) for p in (path / "mail").rglob("*") if p.is_symlink()}
    counted = {address: _counted(folders) for address, folders in mailboxes.items()}
    size = sum(p.stat().st_size for p in files)
    mail_part = {"ok": True, "files": len(files), "bytes": size, "links": links, "mailboxes": counted}
    components = {"mail": {**mail_part, "index_sha256": digest(index)}}
    for name in ("mysql", "config", "ssl", "dkim", "learned"):
        components[name] = _listed(path, sorted((path / name).iterdir()))
    return {
        **{"version": 1, "id": id, "kind": id.partition("/")[0], "started": started, "finished": started},
        **{"host": "host", "project": "shop-mail", "mail_domain": "example.com", "git_commit": None},
        **{"mailctl": "0", "images": {}, "schema_revision": None, "recipients": sealed.recipients},
        "components": components,
    }


def _listed(path: Path, files: Iterable[Path]) -> dict:
    entries = {
        str(p.relative_to(path)): {"sha256": digest(p.read_bytes()), "size": p.stat().st_size} for p in files
    }
    return {
        "ok": True,
        "files": len(entries),
        "bytes": sum(e["size"] for e in entries.values()),
        "list": entries,
    }


def _counted(folders: dict[str, dict[str, bytes]]) -> dict:
    contents = [content for files in folders.values() for content in files.values()]
    counts = {name: len(files) for name, files in folders.items()}
    return {"messages": len(contents), "bytes": sum(map(len, contents)), "folders": counts}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(folder: Path) -> dict[str, bytes | str]:
    """Every file below a folder with its content; of a uidlist only what a restore leaves as it is."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = b"" if path.name == "dovecot-uidlist" else path.read_bytes()
    return found
