"""`mailctl host`: what it would install. That systemd runs it is tested on a host with systemd."""

import json
from pathlib import Path

import pytest
from conftest import ENV, Cli

from mailctl.host import install, units


@pytest.fixture
def host(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of units and one of commands, and settings that name both disks."""
    folder = tmp_path / "units"
    folder.mkdir()
    monkeypatch.setattr(install, "UNIT_FOLDER", folder)
    monkeypatch.setattr(install, "COMMAND", tmp_path / "mailctl")
    (repo / ".env").write_text(f"{ENV}SSD_PATH={tmp_path}/ssd\nHDD_PATH={tmp_path}/hdd\nBACKUP_BUCKET=b\n")
    return folder


def planned(cli: Cli, *words: str) -> dict[str, dict[str, object]]:
    result = cli("host", *words, "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    return {Path(change["path"]).name: change for change in json.loads(result.stdout)["changes"]}


def install_all(cli: Cli, host: Path, repo: Path) -> None:
    """What a run as root writes, without systemd."""
    place = units.Place("shop-mail", repo, host.parent / "hdd", host.parent / "ssd", "UTC")
    for name, text in units.texts(place, units.JOBS).items():
        (host / name).write_text(text)
    install.COMMAND.write_text(units.wrapper(place))


def test_a_dry_run_names_every_file_and_writes_none(cli: Cli, host: Path) -> None:
    jobs = {f"shop-mail-{job.name}.{kind}" for job in units.JOBS for kind in ("service", "timer")}
    plan = planned(cli, "setup")
    assert plan.keys() == jobs | {"shop-mail-failed@.service", "mailctl"}
    assert {change["action"] for change in plan.values()} == {"make"}
    assert list(host.iterdir()) == [] and not install.COMMAND.exists()


def test_what_is_there_already_is_not_touched(cli: Cli, host: Path, repo: Path) -> None:
    install_all(cli, host, repo)
    assert planned(cli, "setup") == {}


def test_an_edit_is_shown_line_by_line(cli: Cli, host: Path, repo: Path) -> None:
    install_all(cli, host, repo)
    timer = host / "shop-mail-sync.timer"
    timer.write_text(timer.read_text().replace("04:00", "05:00"))
    change = planned(cli, "setup")["shop-mail-sync.timer"]
    assert [line for line in change["diff"] if "04:00" in line or "05:00" in line] == [
        "-OnCalendar=*-*-* 05:00:00 UTC",
        "+OnCalendar=*-*-* 04:00:00 UTC",
    ]


def test_without_a_bucket_there_is_no_upload_and_an_old_timer_goes(cli: Cli, host: Path, repo: Path) -> None:
    install_all(cli, host, repo)
    (repo / ".env").write_text((repo / ".env").read_text().replace("BACKUP_BUCKET=b", "BACKUP_BUCKET="))
    plan = planned(cli, "setup")
    assert {name: change["action"] for name, change in plan.items()} == {
        "shop-mail-sync.service": "remove",
        "shop-mail-sync.timer": "remove",
    }
    assert "BACKUP_BUCKET" in cli("host", "setup", "--dry-run").stderr


def test_remove_takes_every_file_of_ours_and_no_other(cli: Cli, host: Path, repo: Path) -> None:
    install_all(cli, host, repo)
    (host / "shop-mail-own.service").write_text("[Service]\nExecStart=/bin/true\n")
    plan = planned(cli, "remove")
    assert {change["action"] for change in plan.values()} == {"remove"}
    assert plan.keys() == {path.name for path in host.iterdir()} - {"shop-mail-own.service"} | {"mailctl"}


def test_a_command_of_somebody_else_stays(cli: Cli, host: Path) -> None:
    install.COMMAND.write_text("#!/bin/sh\n")
    assert "mailctl" not in planned(cli, "setup")
    assert "stays as it is" in cli("host", "setup", "--dry-run").stderr


def test_without_systemd_it_says_what_to_do_instead(
    cli: Cli, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "BOOTED", tmp_path / "nothing")
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    result = cli("host", "setup")
    assert result.exit_code == 1
    assert "scripts/backup-mailserver.sh" in result.stderr and list(host.iterdir()) == []


def test_only_a_host_that_pulls_has_a_timer_that_deploys(cli: Cli, host: Path, repo: Path) -> None:
    env = repo / ".env"
    env.write_text(f"{env.read_text()}DEPLOY_METHOD=ssh\n")
    install_all(cli, host, repo)
    assert planned(cli, "setup") == {}
    env.write_text(env.read_text().replace("DEPLOY_METHOD=ssh", "DEPLOY_METHOD=pull"))
    assert planned(cli, "setup").keys() == {"shop-mail-deploy.service", "shop-mail-deploy.timer"}
