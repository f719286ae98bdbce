"""Copies off site where AWS answers otherwise than moto; aws_rules.py has the rules and their sources."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import botocore.credentials
import pytest
import snapshots
from aws_rules import Between, Rule, elsewhere, slow, unknown_key, unlisted
from conftest import Cli
from copies import DAY, mails, refused, remote, tree
from dateutil.tz import tzlocal
from s3 import BUCKET, PREFIX, Cloud

from mailctl.backup.offsite import download as package
from mailctl.backup.offsite import objects
from mailctl.backup.offsite.upload import upload
from mailctl.core import aws
from mailctl.core.context import Context
from mailctl.core.snapshots import Snapshot


def test_verify_names_all_that_is_hidden_where_head_answers_403(
    made: Snapshot, context: Context, cloud: Cloud, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.make(made.path.parents[1], "daily/2026-11-27", mails(2))
    upload(context)
    names = list(remote(cloud, context).objects("data/"))
    for name in names[1:]:
        cloud.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}{name}")
    with Between(cloud.endpoint, unlisted) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        said = cli("sync", "--verify").stderr
    assert said.count("delete marker") == len(names) - 1 > 1


def test_what_is_hidden_is_sent_again_where_head_answers_403(
    made: Snapshot, context: Context, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(context)
    for name in remote(cloud, context).objects("data/"):
        cloud.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}{name}")
    with Between(cloud.endpoint, unlisted) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert upload(context).copied == [DAY]
        assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)


def test_when_s3_asks_to_slow_down_the_run_goes_on(
    made: Snapshot, context: Context, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with Between(cloud.endpoint, slow(3)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert upload(context).copied == [DAY]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (unknown_key, "the access key was removed or never was"),
        (elsewhere, "the bucket is in another region"),
        (slow(10_000), "S3 asks to send less"),
    ],
    ids=["a bad credential", "another region", "no end of SlowDown"],
)
def test_a_refusal_of_all_is_one_sentence(
    rule: Rule, words: str, made: Snapshot, context: Context, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with Between(cloud.endpoint, rule) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        said = refused(upload, context)
    assert said.count(words) == 1 and said.count("S3 ") <= 2


def test_a_part_whose_connection_breaks_is_sent_again(
    offsite: Path, context: Context, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART", 5 * 1024 * 1024)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    made = snapshots.make(offsite, DAY, mails(1, 12 * 1024 * 1024))
    between = Between(cloud.endpoint, lambda *_: None, cut=2)
    with between as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert upload(context).copied == [DAY]
        assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)
    assert between.cut == 0


def test_by_a_role_a_fetch_of_many_hours_goes_on_with_one_code(
    made: Snapshot, context: Context, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(context)
    id, secret = cloud.administrator
    config = f"[profile me]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr("sys.stdin", io.StringIO("123456\n"))
    by = aws.Access("me", cloud.restore_role(), "arn:aws:iam::123456789012:mfa/me")
    s3 = aws.client(context, aws.place(context), by)
    signed_by = s3._request_signer._credentials
    first = signed_by.get_frozen_credentials().access_key
    for place, name in ((botocore.credentials, "_local_now"), (signed_by, "_time_fetcher")):
        monkeypatch.setattr(place, name, lambda: datetime.now(tzlocal()) + timedelta(minutes=55))
    monkeypatch.setattr(aws, "client", lambda *_: s3)
    assert tree(package.fetch(context, made.id, tmp_path / "back", by=by).path) == tree(made.path)
    assert signed_by.get_frozen_credentials().access_key != first, "they end five minutes later"
