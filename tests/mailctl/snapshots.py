"""Small snapshots written by hand, for tests that need one and do not care how it was taken."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailctl.core import snapshot_manifest as manifest
from mailctl.core.snapshots import Snapshot, read

MAILS = {
    "mail/example.com/ada/mail/cur/1.a.host:2,S": b"Subject: one\n\n1\n",
    "mail/example.com/ada/mail/.Sent/cur/2.b.host:2,": b"Subject: two\n\n2\n",
    "mail/example.com/ada/mail/dovecot-uidlist": b"3 V1 N3\n",
}
OTHERS = {
    "mysql": "mailserver.sql.gz",
    "config": "env.age",
    "ssl": "tls.tar.age",
    "dkim": "keys.tar.age",
    "learned": "valkey.tar",
}


def make(
    hdd: Path,
    id: str = "daily/2026-11-26",
    mails: Mapping[str, bytes] = MAILS,
    started: str = "",
    failed: str | None = None,
) -> Snapshot:
    """A snapshot with these mail files and one file in each other component; `failed` names a lost one."""
    folder = hdd / id
    components: dict[str, Any] = {name: _component(folder, name, file) for name, file in OTHERS.items()}
    for path, content in mails.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    index = b"".join(manifest.index_line(p, hashlib.sha256(c).hexdigest()) for p, c in sorted(mails.items()))
    (folder / manifest.MAIL_INDEX).write_bytes(index)
    components["mail"] = {
        **{"ok": True, "files": len(mails), "bytes": sum(map(len, mails.values())), "links": {}},
        "index_sha256": hashlib.sha256(index).hexdigest(),
        "mailboxes": {"ada@example.com": {"messages": 2, "bytes": 32, "folders": {"INBOX": 1, "Sent": 1}}},
    }
    if failed:
        components[failed] = {"ok": False, "error": "it was broken"}
    moment = started or f"{id.partition('/')[2]}T02:00:00Z"
    about = {"version": 1, "id": id, "kind": id.partition("/")[0], "started": moment, "finished": moment}
    names = {"host": "box", "project": "shop-mail", "mail_domain": "example.com", "mailctl": "0.1.0"}
    rest = {"git_commit": "a" * 40, "images": {}, "schema_revision": "0001", "recipients": ["age1abc"]}
    manifest.save(folder, {**about, **names, **rest, "components": components})
    return read(folder)


def _component(folder: Path, name: str, file: str) -> dict[str, Any]:
    (folder / name).mkdir(parents=True, exist_ok=True)
    content = f"{name} of {folder.name}".encode()
    (folder / name / file).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return {"ok": True, "files": 1, "bytes": len(content), "list": {f"{name}/{file}": entry}}
