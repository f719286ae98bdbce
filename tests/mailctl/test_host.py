"""`mailctl host`: what it would install. That systemd runs it is tested on a host with systemd."""

import json
from pathlib import Path

import pytest
from conftest import ENV, Cli

from mailctl.host import files, install, parts, units
from mailctl.host.files import Choices


@pytest.fixture
def host(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /etc and folder of commands, and settings that name both disks; all packages are there."""
    folder = tmp_path / "units"
    folder.mkdir()
    monkeypatch.setattr(install, "UNIT_FOLDER", folder)
    monkeypatch.setattr(install, "COMMAND", tmp_path / "mailctl")
    monkeypatch.setattr(files, "ETC", tmp_path / "etc")
    programs_on = "services: {usermgmt: {environment: {CLIENT_HOST: imap.example.com}}}\n"
    (repo / "docker-compose.yml").write_text(f"name: shop-mail\n{programs_on}")
    monkeypatch.setattr(parts, "PARTS", ())
    monkeypatch.setattr(parts, "PACKAGES", parts.Part("packages", lambda _: [], lambda _: None))
    monkeypatch.setattr(parts, "cut_off", lambda _: {})
    monkeypatch.setattr(parts, "ssh_ports", lambda: ("22",))
    (repo / ".env").write_text(
        f"{ENV}SSD_PATH={tmp_path}/ssd\nHDD_PATH={tmp_path}/hdd\nBACKUP_BUCKET=b\n"
        f"AGENT_DIR={tmp_path}/agent\n"
    )
    return folder


def planned(cli: Cli, *words: str) -> dict[str, dict[str, object]]:
    result = cli("host", *words, "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    return {Path(change["path"]).name: change for change in json.loads(result.stdout)["changes"]}


def install_all(cli: Cli, host: Path, repo: Path) -> None:
    """What a run as root writes, without systemd."""
    disks = (host.parent / "hdd", host.parent / "ssd")
    place = units.Place("shop-mail", repo, *disks, "UTC", agent=host.parent / "agent")
    (place.home / "current/bin").mkdir(parents=True)
    (place.home / "current/env/bin").mkdir(parents=True)
    (place.home / "keys").mkdir()
    for name in ("agent.yml", "keys/known_hosts", "current/bin/mailctl", "current/env/bin/python"):
        (place.home / name).touch()
    (place.home / "run").write_text(units.launcher(place))
    for name, text in units.texts(place, units.JOBS).items():
        (host / name).write_text(text)
    install.COMMAND.write_text(units.wrapper(place))
    (host / files.firewall_unit(place)).write_text(files.unit(place))
    (docker := files.docker_settings()).parent.mkdir(parents=True)
    docker.write_text(files.docker(None))
    for path, text in files.texts(place, Choices(("22",))).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


OTHERS = {"shop-mail-firewall.service", "shop-mail.nft", "52shop-mail", "shop-mail.conf"}


def test_a_dry_run_names_every_file_and_writes_none(cli: Cli, host: Path) -> None:
    jobs = {f"shop-mail-{job.name}.{kind}" for job in units.JOBS for kind in ("service", "timer")}
    plan = planned(cli, "setup")
    units_of_ours = {"shop-mail-failed@.service", "shop-mail-metrics.service"}
    assert plan.keys() == jobs | units_of_ours | {"mailctl", "run", "daemon.json"} | OTHERS
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
    units_of_sync = {
        f"shop-mail-{job}.{kind}" for job in ("sync", "sync-verify") for kind in ("service", "timer")
    }
    assert {name: change["action"] for name, change in plan.items()} == dict.fromkeys(units_of_sync, "remove")
    assert "BACKUP_BUCKET" in cli("host", "setup", "--dry-run").stderr


def test_the_certificate_has_a_timer_where_mail_programs_are_on_and_may_write_secrets_only_there(
    cli: Cli, host: Path, repo: Path
) -> None:
    install_all(cli, host, repo)
    (repo / "docker-compose.yml").write_text("name: shop-mail\nservices: {}\n")
    units_of_it = {f"shop-mail-certificate.{kind}" for kind in ("service", "timer")}
    assert planned(cli, "setup").keys() == units_of_it
    secrets = f'"{repo}/secrets"'
    writes = {
        path.name: line
        for path in host.glob("*.service")
        for line in path.read_text().splitlines()
        if line.startswith("ReadWritePaths=")
    }
    assert {name for name, line in writes.items() if secrets in line} == {"shop-mail-certificate.service"}


def test_remove_takes_every_file_of_ours_and_no_other(cli: Cli, host: Path, repo: Path) -> None:
    install_all(cli, host, repo)
    (host / "shop-mail-own.service").write_text("[Service]\nExecStart=/bin/true\n")
    plan = planned(cli, "remove")
    assert {change["action"] for change in plan.values()} == {"remove"}
    units_of_ours = {path.name for path in host.iterdir()} - {"shop-mail-own.service"}
    assert plan.keys() == units_of_ours | {"mailctl", "run"} | OTHERS


def test_remove_takes_the_agent_with_its_keys(
    cli: Cli, host: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "check_host", lambda: None)
    monkeypatch.setattr(install, "systemctl", lambda *_: "")
    install_all(cli, host, repo)
    assert cli("host", "remove").exit_code == 0
    assert not (host.parent / "agent").exists()


def test_an_agents_folder_that_is_not_ours_stays(
    cli: Cli, host: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "check_host", lambda: None)
    monkeypatch.setattr(install, "systemctl", lambda *_: "")
    install_all(cli, host, repo)
    (host.parent / "agent/run").write_text("#!/bin/sh\n")
    assert cli("host", "remove").exit_code == 0
    assert (host.parent / "agent/agent.yml").exists()


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
    brought = {"shop-mail-deploy.service", "shop-mail-deploy.timer", "shop-mail-hasten.path"}
    assert planned(cli, "setup").keys() == brought


def test_the_timer_that_deploys_waits_for_the_first_deployment_by_hand(
    cli: Cli, host: Path, repo: Path
) -> None:
    place = units.Place("shop-mail", repo, host / "100% hdd", host / "100% ssd", "UTC")
    text = units.texts(place, (units.PULL, units.JOBS[0]))
    begun = f"\nConditionPathExists={host}/100%% ssd/.mailctl/deploy/history\n"
    assert begun in text["shop-mail-deploy.service"] and begun not in text["shop-mail-backup.service"]


def test_the_timer_of_the_probe_has_the_operators_interval_or_is_off(
    cli: Cli, host: Path, repo: Path
) -> None:
    install_all(cli, host, repo)
    env = repo / ".env"
    env.write_text(f"{env.read_text()}PROBE_EVERY=6h\n")
    [timer] = planned(cli, "setup").values()
    assert "+OnCalendar=*-*-* 00/6:04:00 UTC" in timer["diff"]
    env.write_text(env.read_text().replace("PROBE_EVERY=6h", "PROBE_EVERY=off"))
    assert {change["action"] for change in planned(cli, "setup").values()} == {"remove"}


def test_the_probe_waits_for_the_first_one_by_hand_but_for_no_backup(host: Path, repo: Path) -> None:
    place = units.Place("shop-mail", repo, host / "hdd", host / "ssd", "UTC")
    text = units.texts(place, units.JOBS)
    probe, backup = text["shop-mail-probe.service"], text["shop-mail-backup.service"]
    assert f"ConditionPathExists={host}/ssd/monitor/probe.json\n" in probe
    assert "flock" in backup and "flock" not in probe
    assert "OnFailure" in backup and "OnFailure" not in probe


def test_what_takes_hours_waits_for_a_backup_and_no_backup_waits_for_it(host: Path, repo: Path) -> None:
    place = units.Place("shop-mail", repo, host / "hdd", host / "ssd", "UTC")
    text = units.texts(place, units.JOBS)
    for name in ("sync", "sync-verify", "drill"):
        lines = text[f"shop-mail-{name}.service"].splitlines()
        assert f'ExecStartPre=/usr/bin/flock --wait 43200 "{host}/hdd" /usr/bin/true' in lines
        assert not any(line.startswith("ExecStart=/usr/bin/flock") for line in lines)
    assert f'ExecStart=/usr/bin/flock --wait 43200 "{host}/hdd"' in text["shop-mail-backup.service"]
    assert "OnCalendar=Wed" in text["shop-mail-sync-verify.timer"]


def test_a_fresh_host_gets_its_settings_from_the_example(
    cli: Cli, host: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = (repo / ".env").rename(repo / ".env.example").read_text()
    assert cli("host", "setup", "--check").exit_code == 1 and not (repo / ".env").exists()
    monkeypatch.setattr(install, "BOOTED", host / "nothing")
    assert "systemd" in cli("host", "setup").stderr
    assert (repo / ".env").read_text() == env


def test_check_tells_what_is_missing_and_exits_1(cli: Cli, host: Path, repo: Path) -> None:
    assert cli("host", "setup", "--check").exit_code == 1
    install_all(cli, host, repo)
    checked = cli("host", "setup", "--check")
    assert checked.exit_code == 0 and "Nothing to change" in checked.stdout


def test_the_engines_settings_keep_what_the_operator_wrote(cli: Cli, host: Path) -> None:
    path = files.docker_settings()
    path.parent.mkdir(parents=True)
    path.write_text('{"data-root": "/ssd/docker", "log-opts": {"max-size": "1m"}}')
    change = planned(cli, "setup")["daemon.json"]
    assert '-{"data-root"' in change["diff"][1] and '+  "data-root": "/ssd/docker",' in change["diff"]
    assert '+    "max-size": "1m",' in change["diff"]
    path.write_text('{"log-driver": "journald"}')
    assert "daemon.json" not in planned(cli, "setup")


def test_the_firewall_opens_ssh_and_what_the_operator_named(cli: Cli, host: Path, repo: Path) -> None:
    with (repo / ".env").open("a") as env:
        env.write("HOST_OPEN_PORTS=443, 51820/udp\n")
    install_all(cli, host, repo)
    assert {"+    tcp dport { 22, 443 } accept", "+    udp dport { 51820 } accept"} <= set(
        planned(cli, "setup")["shop-mail.nft"]["diff"]
    )


def test_the_ports_of_a_swarm_are_open_to_its_own_hosts_alone(cli: Cli, host: Path, repo: Path) -> None:
    install_all(cli, host, repo)
    rows = "".join(f"  - {{name: mail{n}, address: {a}}}\n" for n, a in enumerate(("10.0.0.1", "fd00::2"), 1))
    (repo / "nodes.yml").write_text(f"nodes:\n{rows}")
    plan = planned(cli, "setup")
    doors = [line.split(maxsplit=1)[1] for line in plan["shop-mail.nft"]["diff"] if "saddr" in line]
    words = ("tcp dport { 2377, 7946 }", "udp dport { 4789, 7946 }", "meta l4proto esp")
    sources = ("ip saddr { 10.0.0.1/32 }", "ip6 saddr { fd00::2/128 }")
    assert doors == [f"{source} {word} accept" for source in sources for word in words]
    assert '+  "no-new-privileges": true' in plan["daemon.json"]["diff"]
    (repo / "nodes.yml").write_text("nodes:\n  - {name: mail1, address: mail1.example.com}\n")
    refused = cli("host", "setup", "--dry-run")
    assert refused.exit_code == 1 and "nodes.yml address = mail1.example.com" in refused.stderr


@pytest.mark.parametrize("setting", ["HOST_OPEN_PORTS=ssh", "HOST_OPEN_PORTS=70000", "HOST_USER=Deploy"])
def test_a_choice_that_cannot_be_meant_is_refused(cli: Cli, host: Path, repo: Path, setting: str) -> None:
    with (repo / ".env").open("a") as env:
        env.write(f"{setting}\n")
    refused = cli("host", "setup", "--dry-run")
    assert refused.exit_code == 1 and setting.replace("=", " = ") in refused.stderr


def test_what_the_firewall_would_cut_off_is_named_before_anything_changes(
    cli: Cli, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "cut_off", lambda _: {"443": "caddy"})
    refused = cli("host", "setup", "--dry-run")
    assert refused.exit_code == 1 and "443 (caddy)" in refused.stderr and "HOST_OPEN_PORTS" in refused.stderr
