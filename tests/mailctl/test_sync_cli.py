"""`mailctl sync` as a timer and a person run it: what it prints, keeps and tells."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest
import snapshots
from conftest import Cli
from s3 import BUCKET, PREFIX, Cloud

from mailctl.core import job_results, notify
from mailctl.core.context import Context


def test_it_copies_lists_and_verifies(offsite: Path, cli: Cli, context: Context) -> None:
    snapshots.make(offsite)
    done = cli("sync", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["copied"] == ["daily/2026-11-26"]
    assert "0 snapshots copied" in cli("sync").stdout
    assert "daily/2026-11-26" in cli("sync", "--list").stdout
    assert "whole and locked" in cli("sync", "--verify").stdout
    kept = job_results.last(context, "sync")
    assert kept and kept["ok"] and kept["last_good"]["document"]["newest"] == "daily/2026-11-26"


def test_a_failure_is_said_kept_and_mailed(
    offsite: Path, cli: Cli, context: Context, cloud: Cloud, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.make(offsite)
    cli("sync")
    (repo / "secrets" / "aws_uploader_key").write_text("\n".join(cloud.administrator))
    told: list[str] = []
    monkeypatch.setattr(notify, "tell", lambda context, subject, text: told.append(text))
    failed = cli("sync", "--json")
    assert failed.exit_code == 1 and "may delete" in json.loads(failed.stdout)["problems"][0]["wrong"]
    assert "may delete" in told[0]
    kept = job_results.last(context, "sync")
    assert kept and not kept["ok"] and kept["last_good"]
    metric = (offsite / ".mailctl" / "sync.prom").read_text()
    assert "mailserver_sync_last_run_success 0" in metric


def test_a_person_lists_with_a_profile_or_a_role(
    offsite: Path, cli: Cli, cloud: Cloud, repo: Path, tmp_path: Path
) -> None:
    snapshots.make(offsite)
    cli("sync")
    (repo / "secrets" / "aws_uploader_key").unlink()
    assert "there is no secrets/aws_uploader_key" in cli("sync", "--list").stderr
    id, secret = cloud.administrator
    (tmp_path / "aws-config").write_text(
        f"[profile admin]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"
    )
    role = cloud.restore_role()
    assert "daily/2026-11-26" in cli("sync", "--list", "--profile", "admin").stdout
    mfa = ("--role", role, "--mfa", "arn:aws:iam::123456789012:mfa/me")
    by_role = cli("sync", "--list", "--versions", "--profile", "admin", *mfa, input="123456\n")
    assert "?versionId=" in by_role.stdout and "Code of arn:aws" in by_role.stderr
    assert f"s3://{BUCKET}/{PREFIX}" in cli("sync", "--list", "--json", "--profile", "admin").stdout


def test_a_full_disk_is_said_and_the_next_run_copies(offsite: Path, cli: Cli) -> None:
    snapshots.make(offsite, mails={"mail/example.com/ada/mail/cur/1.a:2,S": os.urandom(3_000_000)})
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        # A limit on the size of files is met like a full disk: by a write that fails.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            failed = cli("sync", "--json")
            os.write(writer, f"{failed.exit_code} {failed.stdout}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        code, _, said = pipe.read().partition(" ")
    os.waitpid(child, 0)
    assert code == "1" and json.loads(said)["problems"][0]["field"] == "disk"
    assert cli("sync").exit_code == 0 and "whole and locked" in cli("sync", "--verify").stdout
