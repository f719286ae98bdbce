"""`mailctl secrets aws`: at every moment the host has a key that works, and no secret is shown."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from s3 import BUCKET, PREFIX, REGION, UPLOADER, USER, Cloud

from mailctl.core.aws import keys as held
from mailctl.secret_files import aws as keys


@pytest.fixture
def file(offsite: Path, repo: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The secret file of a host whose administrator is signed in by the environment."""
    id, secret = cloud.administrator
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setattr(keys, "PAUSE_SECONDS", 0.01)
    return repo / "secrets" / "aws_uploader_key"


def there(cloud: Cloud) -> list[str]:
    found = cloud.client("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"]
    return [key["AccessKeyId"] for key in found if key["Status"] == "Active"]


def outputs(tmp_path: Path) -> Path:
    """As `terraform output -json` writes them."""
    values = {
        "backup_bucket": BUCKET,
        "backup_region": REGION,
        "backup_prefix": PREFIX,
        "uploader_user": USER,
    }
    path = tmp_path / "outputs.json"
    path.write_text(
        json.dumps({n: {"sensitive": False, "type": "string", "value": v} for n, v in values.items()})
    )
    return path


def test_the_first_key_and_the_settings_come_from_terraform_s_outputs(
    file: Path, cli: Cli, cloud: Cloud, repo: Path, tmp_path: Path
) -> None:
    cloud.client("iam").delete_access_key(UserName=USER, AccessKeyId=there(cloud)[0])
    file.unlink()
    lines = [
        line for line in (repo / ".env").read_text().splitlines() if not line.startswith("BACKUP_BUCKET")
    ]
    (repo / ".env").write_text("\n".join([*lines, "BACKUP_REGION=", "# the end"]) + "\n")
    done = cli("secrets", "aws", "--from-terraform", outputs(tmp_path))
    assert done.exit_code == 0, done.output
    [(id, secret)] = held(file.read_bytes())
    assert there(cloud) == [id] and file.stat().st_mode & 0o777 == 0o400
    assert secret not in done.output and id in done.output
    text = (repo / ".env").read_text()
    assert f"BACKUP_BUCKET={BUCKET}\n" in text and text.count("BACKUP_REGION=") == text.count(REGION)
    assert "# the end" in text and (repo / ".env").stat().st_mode & 0o777 == 0o600


def test_a_new_key_takes_the_place_of_the_old_one(file: Path, cli: Cli, cloud: Cloud) -> None:
    [old] = there(cloud)
    done = cli("secrets", "aws", "--json")
    [(id, secret)] = held(file.read_bytes())
    assert json.loads(done.stdout)["removed"] == [old] and there(cloud) == [id] != [old]
    assert secret not in done.output


def test_a_new_key_that_does_not_work_leaves_the_old_one(
    file: Path, cli: Cli, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "LIMIT_SECONDS", 0.1)
    [old] = there(cloud)
    nothing = {**UPLOADER, "Action": "s3:GetObject"}
    cloud.client("iam").put_user_policy(
        UserName=USER,
        PolicyName="rights",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [nothing]}),
    )
    assert cli("secrets", "aws").exit_code == 1
    assert old in there(cloud) and held(file.read_bytes())[1][0] == old


def steps(work: Callable[[], Any], kill_at: int) -> bool:
    """Run it in a process killed before its nth call to AWS or write of the file; whether it ended."""
    child = os.fork()
    if child == 0:
        count = 0

        def step(original: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)

            return counted

        from botocore.client import BaseClient

        from mailctl.secret_files.store import Store

        BaseClient._make_api_call = step(BaseClient._make_api_call)  # type: ignore[method-assign]
        Store.write = step(Store.write)  # type: ignore[method-assign]
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_killed_before_any_step_the_host_has_a_key_that_works_and_the_next_run_ends_it(
    file: Path, cli: Cli, cloud: Cloud
) -> None:
    ended, at = False, 0
    while not ended:
        at += 1
        ended = steps(lambda: cli("secrets", "aws"), at)
        if held(file.read_bytes())[0][0] not in there(cloud):  # removed in AWS, not yet in the file
            pytest.fail(f"step {at} leaves a key that does not work")
        assert cli("secrets", "aws").exit_code == 0, at
        [(id, _)] = held(file.read_bytes())
        assert there(cloud) == [id]
    assert at > 8


def test_a_key_that_somebody_else_uses_is_not_removed(file: Path, cli: Cli, cloud: Cloud) -> None:
    key = cloud.client("iam").create_access_key(UserName=USER)["AccessKey"]
    other = key["AccessKeyId"], key["SecretAccessKey"]
    cloud.client(key=other).list_objects_v2(Bucket=BUCKET)
    refused = cli("secrets", "aws")
    assert refused.exit_code == 1 and "somebody uses" in " ".join(refused.stderr.split())
    assert other[0] in there(cloud)


def test_without_a_key_and_without_outputs_it_says_how(file: Path, cli: Cli, tmp_path: Path) -> None:
    file.unlink()
    assert cli("secrets", "aws").exit_code == 2
    (tmp_path / "wrong.json").write_text("{}")
    wrong = cli("secrets", "aws", "--from-terraform", tmp_path / "wrong.json")
    assert wrong.exit_code == 2 and "uploader_user" in wrong.stderr


def test_the_age_of_the_key_is_watched(file: Path, cli: Cli) -> None:
    file.chmod(0o400)
    long_ago = file.stat().st_mtime - 91 * 86400
    os.utime(file, (long_ago, long_ago))
    found = json.loads(cli("secrets", "status", "--json").stdout)["secrets"]
    entry = next(each for each in found if each["name"] == "aws_uploader_key")
    assert entry["todo"] == "rotation is due: .venv/bin/mailctl secrets aws"
