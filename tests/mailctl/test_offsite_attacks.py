"""The bucket as an enemy: each attack is refused with its reason, and alarmed about where it shows."""

import os
from pathlib import Path

import pytest
import snapshots
from attacks import ATTACKS, Attack, Bucketeer, replay, same_size
from conftest import Cli
from copies import DAY, refused, tree
from s3 import Cloud

from mailctl.backup import publish
from mailctl.backup.offsite import download as package
from mailctl.backup.offsite.upload import upload
from mailctl.core import job_results
from mailctl.core.context import Context


@pytest.fixture
def two(offsite: Path, context: Context) -> Path:
    """Two days are in S3; returns the folder of the second on this host's disk."""
    snapshots.make(
        offsite, "daily/2026-11-25", {**snapshots.MAILS, "mail/example.com/ada/mail/cur/0.x:2,": b"x"}
    )
    made = snapshots.make(offsite, DAY)
    upload(context)
    return made.path


def test_what_a_stranger_did_is_repaired_as_far_as_the_disk_has_it_and_the_rest_with_the_role(
    two: Path, offsite: Path, context: Context, cloud: Cloud, cli: Cli, tmp_path: Path
) -> None:
    by = Bucketeer(cloud, context, tmp_path)
    publish.remove(offsite / "daily/2026-11-25")
    same_size(by)
    by.hide("daily/2026-11-25/manifest.json")
    by.put(f"data/{'c' * 64}", b"x")
    failed = cli("sync", "--json")
    assert failed.exit_code == 1 and "lies over" in failed.stdout
    assert not (job_results.last(context, "copies") or {})["ok"]
    assert tree(package.fetch(context, DAY, tmp_path / "new").path) == tree(two), "the disk had it"
    cannot = cli("sync", "--repair", "--json")
    assert cannot.exit_code == 1 and "restore role reads it" in cannot.stdout
    id, secret = cloud.administrator
    text = f"[profile admin]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"
    (tmp_path / "aws-config").write_text(text)
    done = cli("sync", "--repair", "--json", "--profile", "admin")
    assert done.exit_code == 0, done.output
    assert "whole and locked" in cli("sync", "--verify").stdout
    assert "0 snapshots copied" in cli("sync").stdout
    assert (job_results.last(context, "copies") or {})["ok"]
    assert package.fetch(context, "daily/2026-11-25", tmp_path / "old").id == "daily/2026-11-25"


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_on_the_bucket_is_refused_and_seen(
    attack: Attack, two: Path, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    attack.work(Bucketeer(cloud, context, tmp_path))
    outside = tmp_path / "disk"
    outside.mkdir()
    if attack.refused:
        assert attack.refused in refused(package.fetch, context, attack.id, outside / "back")
        left = [name for _, folders, files in os.walk(outside) for name in folders + files]
        assert left in ([], ["back"]), "something was left of what was refused"
    else:
        back = package.fetch(context, attack.id, outside / "back")
        assert back.id == DAY and (attack.work is replay or tree(back.path) == tree(two))
    own = context.repo / "secrets" / "aws_uploader_key"
    key = own.read_bytes()
    own.write_text("\n".join(cloud.administrator))  # as the restore role, it reads every version
    back = package.fetch(context, "latest" if attack.id == "latest" else DAY, outside / "role")
    assert tree(back.path) == tree(two), "what was sent is still there"
    own.write_bytes(key)
    seen = " ".join(f"{each.field} {each.wrong}" for each in upload(context).findings)
    assert attack.alarm in seen
