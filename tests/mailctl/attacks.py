"""Attacks on the bucket by somebody who may write there, and in some rows delete or sign as well."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snapshots
from copies import DAY
from s3 import BUCKET, PREFIX, Cloud

from mailctl.backup.offsite.index import Index
from mailctl.backup.offsite.upload import upload
from mailctl.core import encryption, signing
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.context import Context

PLANTED = "daily/2026-12-24"
EVIL = {"mail/example.com/ada/mail/cur/1.evil.host:2,S": b"Subject: pay here\n\n"}


@dataclass
class Bucketeer:
    """Who attacks: with an administrator's rights on the bucket, and the public keys of the manifests."""

    cloud: Cloud
    context: Context
    home: Path

    def names(self, prefix: str = "data/") -> list[str]:
        """Objects, the newest first."""
        found = self.cloud.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}{prefix}")["Contents"]
        newest = sorted(found, key=lambda each: each["LastModified"], reverse=True)
        return [each["Key"].removeprefix(PREFIX) for each in newest]

    def read(self, name: str) -> bytes:
        body: bytes = self.cloud.client().get_object(Bucket=BUCKET, Key=f"{PREFIX}{name}")["Body"].read()
        return body

    def put(self, name: str, body: bytes) -> None:
        where = {"Bucket": BUCKET, "Key": f"{PREFIX}{name}"}
        self.cloud.client().put_object(**where, Body=body, ChecksumAlgorithm="SHA256")

    def hide(self, *names: str) -> None:
        for name in names:
            self.cloud.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}{name}")

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the newest manifest, and leave its signature."""
        text, _, signature = self.read(f"{DAY}/manifest.json").partition(b"\n")
        document = json.loads(text)
        change(document)
        self.put(f"{DAY}/manifest.json", json.dumps(document).encode() + b"\n" + signature)

    def plant(
        self,
        id: str = PLANTED,
        links: dict[str, str] | None = None,
        lines: tuple[list[object], ...] = (),
        mails: dict[str, bytes] = EVIL,
        signed: bool = False,
    ) -> None:
        """A whole copy by our own program, encrypted to the right keys; `signed`: with the host's key."""
        hdd, secrets = self.home / "evil", self.home / "evil-secrets"
        secrets.mkdir(mode=0o700)
        (hdd / "mailboxes").mkdir(parents=True)
        own = self.context.folder("SECRETS_DIR", "secrets")
        key = (own / signing.KEY_FILE).read_bytes() if signed else signing.new_key()
        (secrets / signing.KEY_FILE).write_bytes(key)
        (secrets / encryption.HOST_IDENTITY).write_bytes(encryption.new_identity())
        (secrets / "aws_uploader_key").write_bytes((own / "aws_uploader_key").read_bytes())
        recipients = ",".join(encryption.recipients(self.context))
        environ = {"HDD_PATH": str(hdd), "SECRETS_DIR": str(secrets), "BACKUP_AGE_RECIPIENTS": recipients}
        made = snapshots.make(hdd, id, mails)
        if links:
            document = dict(made.manifest.document)
            document["components"]["mail"]["links"] = links
            manifest.save(made.path, document)
        original = Index._lines

        def more(self: Index, target: Any) -> None:
            original(self, target)
            for line in lines:
                target.write(json.dumps(line).encode() + b"\n")

        Index._lines = more  # type: ignore[method-assign]
        try:
            upload(Context(self.context.repo, self.context.out, environ))
        finally:
            Index._lines = original  # type: ignore[method-assign]


def swap(by: Bucketeer) -> None:
    one, other, *_ = by.names()
    first, second = by.read(one), by.read(other)
    by.put(one, second)
    by.put(other, first)


def replay(by: Bucketeer) -> None:
    """The older of two signed manifests of a day, put over the newer."""
    old = by.read(f"{DAY}/manifest.json")
    snapshots.make(
        by.context.folder("HDD_PATH", ""), DAY, {**snapshots.MAILS, **EVIL}, started=f"{DAY[6:]}T12:00:00Z"
    )
    upload(by.context)
    by.put(f"{DAY}/manifest.json", old)


def same_size(by: Bucketeer) -> None:
    for name in by.names():
        by.put(name, b"x" * len(by.read(name)))


def line(path: str, *rest: object) -> list[object]:
    return ["+", path, *(rest or ("a" * 64, 1, 1, 0o644, "b" * 64))]


@dataclass(frozen=True)
class Attack:
    """What is done; what `restore` of an id says ("": it brings back the right thing), and what sync says."""

    name: str
    work: Callable[[Bucketeer], object]
    refused: str = ""
    alarm: str = ""
    id: str = DAY


OVER, HIDDEN, NOT_OURS = "lies over this host's", "hidden by a delete marker", "did not write it"
UNSIGNED, OTHER, OUT = (
    "not signed by a key that counts",
    "fetch with the restore role",
    "leads out of the",
)
ATTACKS = (
    Attack("a planted snapshot, encrypted to the right keys", Bucketeer.plant, UNSIGNED, NOT_OURS, PLANTED),
    Attack("a planted snapshot that is the latest", Bucketeer.plant, "", NOT_OURS, "latest"),
    Attack("a planted snapshot in the place of ours", lambda by: by.plant(DAY), UNSIGNED, OVER),
    Attack(
        "an older index in the place of a newer",
        lambda by: by.put(by.names()[0], by.read(by.names()[-1])),
        OTHER,
        OVER,
    ),
    Attack("an older manifest of that day", replay, "", OVER, "latest"),
    Attack(
        "the manifest of another day",
        lambda by: by.put(f"{DAY}/manifest.json", by.read("daily/2026-11-25/manifest.json")),
        "it is that of daily/2026-11-25",
        OVER,
    ),
    Attack("swapped packs", swap, OTHER, OVER),
    Attack("content of the same size", same_size, OTHER, OVER),
    Attack(
        "more content than the disk holds",
        lambda by: [by.put(n, bytes(1 << 20)) for n in by.names()],
        "at most belong there",
        OVER,
    ),
    Attack("the same content, not by us", lambda by: [by.put(n, by.read(n)) for n in by.names()], "", OVER),
    Attack("a delete marker over data", lambda by: by.hide(*by.names()), "a newer version hides it", HIDDEN),
    Attack(
        "a delete marker over the manifest",
        lambda by: by.hide(f"{DAY}/manifest.json"),
        "there is no copy of daily/2026-11-26",
        HIDDEN,
    ),
    Attack(
        "delete markers over everything",
        lambda by: by.hide(*by.names("")),
        "there is no copy of any",
        HIDDEN,
        "latest",
    ),
    Attack(
        "a manifest that is none", lambda by: by.put(f"{DAY}/manifest.json", b"{}"), "is no manifest", OVER
    ),
    Attack(
        "a manifest that fills the memory",
        lambda by: by.put(f"{DAY}/manifest.json", bytes(65 << 20)),
        "at most belong there",
        OVER,
    ),
    Attack(
        "a manifest without its signature",
        lambda by: by.put(f"{DAY}/manifest.json", by.read(f"{DAY}/manifest.json").split(b"\n")[0]),
        UNSIGNED,
        OVER,
    ),
    Attack(
        "a manifest with another chain",
        lambda by: by.edit(lambda d: d.update(chain=d["chain"] * 2)),
        UNSIGNED,
        OVER,
    ),
    Attack(
        "a manifest with an object more",
        lambda by: by.edit(lambda d: d["objects"].update(x=[1, "x", "2026"])),
        UNSIGNED,
        OVER,
    ),
    Attack("an object among ours", lambda by: by.put(f"data/{'c' * 64}", b"x"), "", NOT_OURS),
    Attack(
        "a link to the host's files",
        lambda by: by.plant(signed=True, links={"mail/x": "/etc"}),
        OUT,
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a link out of the snapshot",
        lambda by: by.plant(signed=True, links={"mail/example.com/x": "../../../../x"}),
        OUT,
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a link in the place of a component",
        lambda by: by.plant(signed=True, links={"config": "mail/x"}),
        OUT,
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a file below an earlier link",
        lambda by: by.plant(
            signed=True, links={"mail/x": "example.com"}, lines=(line("mail/x/authorized_keys"),)
        ),
        "a folder and something else",
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a link below an earlier link",
        lambda by: by.plant(signed=True, links={"mail/x": "example.com", "mail/x/y": "ada"}),
        "a folder and something else",
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a path out of the snapshot",
        lambda by: by.plant(signed=True, lines=(line("mail/../../x"),)),
        OUT,
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a folder out of the snapshot",
        lambda by: by.plant(signed=True, lines=(["/", "../x"],)),
        OUT,
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "a path that ends early",
        lambda by: by.plant(signed=True, lines=(line("mail/x\0y"),)),
        OUT,
        NOT_OURS,
        PLANTED,
    ),
    Attack(
        "content in no pack of the manifest",
        lambda by: by.plant(signed=True, lines=(line("mail/x"),)),
        "the packs lack",
        NOT_OURS,
        PLANTED,
    ),
)
