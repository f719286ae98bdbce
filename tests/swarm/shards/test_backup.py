"""A host of several saves the mailboxes of its store, and brings one of them back (make soak)."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from mailctl.backup import share
from mailctl.backup.drill.run import LOCAL, drill
from mailctl.backup.mailcopy import MailCopy, index_digest
from mailctl.backup.restore import imap, merge
from mailctl.core import containers, placement
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.core.snapshots import Snapshot, read, verify
from tests.generation.generate import config_file, render
from tests.swarm.shards.rig import Rig
from usermgmt.cli_shards import answer
from usermgmt.database import Database

pytestmark = [
    pytest.mark.docker,
    pytest.mark.series("SWARM"),
]
ADA, BERT = "ada@example.com", "bert@example.com"


@pytest.fixture(scope="module")
def host(rig: Rig) -> Iterator[Context]:
    """The host of the store of shard a, as mailctl there sees it."""
    repo = render({"scale": "swarm"}, rig.folder / "out", config_file(rig.folder / "settings"))
    name = json.loads(subprocess.check_output(["docker", "info", "--format", "{{json .Name}}"]))
    (repo / "nodes.yml").write_text(f"nodes:\n  - {{name: {name}, address: 10.0.0.1, shard: a}}\n")
    hdd = rig.disk("a").parent
    own = f"HDD_PATH={hdd}\nSSD_PATH={hdd}/ssd\nCOMPOSE_PROJECT_NAME={rig.prefix}\n"
    (repo / ".env").write_text((repo / ".env.example").read_text() + own)
    url = URL.create("mariadb+pymysql", "usermgmt", "usermgmtxdb" * 4, rig.address("mariadb"), 3306)
    database = Database(url.set(database="mailserver"))

    def ask(_context: Context, **wanted: Any) -> dict[str, Any]:
        with database.transaction() as session:
            return answer(session, wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "ask", ask)
        yield Context(repo, Output())
    database.engine.dispose()


def snapshot(context: Context, hdd: Path) -> Snapshot:
    """The mail of this host, as `mailctl backup` saves it."""
    folder = hdd / "daily/2026-11-29"
    folder.mkdir(parents=True)
    with MailCopy(hdd / "mailboxes", folder, homes=share.homes(context)) as mail:
        mail.plan()
        copied = mail.copy()
    about = {"version": 1, "id": "daily/2026-11-29", "kind": "daily", "started": manifest.now()}
    names = {"finished": manifest.now(), "host": socket.gethostname(), "project": context.project_name}
    rest = {"mail_domain": "example.com", "git_commit": None, "mailctl": "0", "images": {}}
    more = {"schema_revision": None, "recipients": [], **share.described(context)}
    parts = {"components": {"mail": copied.component(index_digest(folder))}}
    manifest.save(folder, {**about, **names, **rest, **more, **parts})
    return read(folder)


def test_a_mailbox_comes_back_where_its_store_is_and_is_refused_elsewhere(rig: Rig, host: Context) -> None:
    rig.add(ADA, shard="a")
    rig.add(BERT, shard="b")
    rig.deliver(ADA, "one", "two")
    rig.deliver(BERT, "three")
    found = snapshot(host, rig.disk("a").parent)
    assert verify(found, ["mail"]) == []
    assert {name: box["messages"] for name, box in found.mailboxes.items()} == {ADA: 2}
    store = containers.running(host, "dovecot-store")
    rig.inside("dovecot-a", "doveadm", "expunge", "-u", ADA, "mailbox", "INBOX", "all")
    part = merge.Part(ADA, imap.stored_as(store, ADA))
    assert merge.merge(host, found, part, [], dry_run=False)["added"] == {"INBOX": 2}
    session = rig.imap(ADA)
    assert session.select("INBOX")[1] == [b"2"]
    session.logout()
    with pytest.raises(Refused, match="is on mail-b"):
        placement.refuse_elsewhere(host, BERT)


def test_a_drill_reads_a_hosts_share_back_from_a_store_beside_it(rig: Rig, host: Context) -> None:
    [result] = drill(host, [LOCAL])
    assert result.failures == []
    assert result.read.differences == []
    # Those of the snapshot, opened by accounts that the drill made: this host has no dump.
    assert (result.read.mailboxes, result.read.compared) == (1, 2)
