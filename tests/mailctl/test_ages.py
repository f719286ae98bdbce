"""`mailctl status`: how old the last good backup, upload and drill are."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ENV, Cli
from fakes import FakeDocker, FakeEngine, container

from mailctl.core.context import Context

DAY = 86400


@pytest.fixture(autouse=True)
def one_service(repo: Path, docker: FakeDocker, engine: FakeEngine) -> None:
    docker.configure(nginx={})
    engine.containers = [container("nginx")]
    (repo / "hdd/mailboxes").mkdir(parents=True)
    (repo / ".env").write_text(f"{ENV}SSD_PATH=.\nHDD_PATH=./hdd\nBACKUP_BUCKET=b\n")


def ran(context: Context, what: str, ago: float, ok: bool = True) -> None:
    """A run of `what` that ended `ago` seconds before now."""
    from mailctl.core import job_results

    job_results.record(context, what, ok, {})
    path = context.repo / "hdd/.mailctl" / f"{what}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    for run in (found, found["last_good"] if ok else None):
        if run:
            run["at"] = time.time() - ago
    path.write_text(json.dumps(found))


def lines(cli: Cli, code: int) -> dict[str, dict[str, str]]:
    """The lines of the status by their names, with which it ends as it should."""
    result = cli("status", "--json")
    assert result.exit_code == code
    return {line["name"]: line for line in json.loads(result.stdout)["lines"]}


def test_what_ran_in_time_is_in_order(cli: Cli, context: Context) -> None:
    for what, ago in (("backup", 3600), ("sync", 7200), ("drill", 20 * DAY)):
        ran(context, what, ago)
    assert lines(cli, 0)["backup"]["found"] == "last good 1h 0m ago"
    assert lines(cli, 0)["drill"] | {"found": ""} == {"name": "drill", "mark": "ok", "found": "", "fix": ""}


@pytest.mark.parametrize(("what", "ago"), [("backup", 27 * 3600), ("sync", 27 * 3600), ("drill", 36 * DAY)])
def test_what_is_too_old_is_wrong_and_its_repair_is_named(
    cli: Cli, context: Context, what: str, ago: float
) -> None:
    for name in ("backup", "sync", "drill"):
        ran(context, name, ago if name == what else 60)
    found = lines(cli, 1)
    assert [name for name, line in found.items() if line["mark"] == "failed"] == [what]
    assert found[what]["fix"] == f"make {what}"
    late = {one["what"]: one["late"] for one in json.loads(cli("status", "--json").stdout)["backups"]}
    assert late == {name: name == what for name in late}


def test_a_failed_run_after_a_good_one_is_told(cli: Cli, context: Context) -> None:
    ran(context, "backup", 60)
    ran(context, "backup", 30, ok=False)
    found = lines(cli, 1)["backup"]["found"]
    assert found.startswith("last good 1m ") and found.endswith(" ago; the last one failed")


def test_never_is_said_and_an_upload_without_a_bucket_is_not_missed(cli: Cli, repo: Path) -> None:
    (repo / ".env").write_text((repo / ".env").read_text().replace("BACKUP_BUCKET=b", ""))
    found = lines(cli, 0)
    assert found["backup"]["mark"] == "warning" and "never" in found["backup"]["found"]
    assert "sync" not in found
