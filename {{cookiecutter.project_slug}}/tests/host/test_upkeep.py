"""The host looks after itself: timers, backups, updates, logs, clock, and nothing done by hand."""

import json
import time

import pytest


def jobs(server, expected):
    def wanted(need: str) -> bool:
        setting, _, value = need.partition("=")
        found = server.settings.get(setting)
        return found == value if value else bool(found)

    return [*expected["timers"], *(name for name, need in expected["needs"].items() if wanted(need))]


def test_every_timer_waits_for_its_next_run(server, expected):
    """Without its timer a backup is only made when somebody thinks of it."""
    names = [f"{server.project}-{job}.timer" for job in jobs(server, expected)]
    states = {
        name: server.call(f"systemctl is-enabled {name}; systemctl is-active {name}").stdout.split()
        for name in names
    }
    assert {name: words for name, words in states.items() if words != ["enabled", "active"]} == {}


def test_the_last_run_of_every_job_was_good(server, status, figure):
    """The last one ended well, and is not too long ago."""
    wrong = {}
    for age in status["backups"]:
        hours = (age["age_seconds"] or 0) / 3600
        figure("Hours since the last good", age["what"], round(hours, 1), age["limit_seconds"] / 3600, "h")
        if age["failed"] or age["late"]:
            wrong[age["what"]] = "the last run failed" if age["failed"] else f"{age['age_seconds']} s ago"
    assert status["backups"] and wrong == {}


def test_no_unit_of_the_server_has_failed(server):
    """A failed unit mails its administrator once; this says it until it is looked after."""
    lines = server.run(f"systemctl list-units --failed --plain --no-legend '{server.project}-*'").splitlines()
    # A job that failed and was run again by hand is good; its state says so, above.
    names = {line.split()[0] for line in lines}
    assert (
        sorted(
            names
            - {f"{server.project}-{job}.service" for job in ("backup", "backup-weekly", "sync", "drill")}
        )
        == []
    )


def test_the_last_deployment_was_good_and_is_what_lies_here(server):
    """After one that was rolled back, the server runs what it ran before: somebody must look at it."""
    if (
        server.several
        and not json.loads(server.run("docker info --format json"))["Swarm"]["ControlAvailable"]
    ):
        pytest.skip("no manager of a Swarm: make verify on one says it")
    found = json.loads(server.run(".venv/bin/mailctl history --json"))["deployments"]
    if not found:
        pytest.skip("nothing was deployed with make deploy yet")
    head = server.run(f"git -c safe.directory={server.path} rev-parse HEAD").strip()
    assert found[0]["ok"], f"{found[0]['result']}: {found[0]['reason']}"
    assert found[0]["ref"] == head, "another commit was checked out since"


def test_the_engine_starts_with_the_host(server):
    assert server.host.service("docker").is_enabled


def test_security_updates_come_by_themselves(server, expected):
    """Packages of the host itself; images are updated by pull requests."""
    text = server.run("apt-config dump")
    found = {
        line.split(" ", 1)[0]: line.split(" ", 1)[1].strip('";') for line in text.splitlines() if " " in line
    }
    wrong = {name: found.get(name) for name, value in expected["updates"].items() if found.get(name) != value}
    timer = server.call("systemctl is-active apt-daily-upgrade.timer").stdout.strip()
    assert wrong == {} and server.host.exists("unattended-upgrade") and timer == "active"


def test_logs_of_containers_are_bounded(server, expected):
    """The repository bounds its own; this is for every other container of this engine."""
    file = server.host.file("/etc/docker/daemon.json")
    settings = json.loads(file.content_string) if file.exists else {}
    # Other drivers than json-file rotate by themselves.
    if settings.get("log-driver", "json-file") == "json-file":
        assert set(expected["docker_log_options"]) <= settings.get("log-opts", {}).keys()


def test_the_journal_is_bounded(server, expected):
    text = server.run("systemd-analyze cat-config systemd/journald.conf")
    set_ones = {line.split("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    assert [name for name in expected["journal"] if name not in set_ones] == []


def test_the_clock_is_right_and_kept_so(server, expected, figure):
    """Certificates, one-time passwords and DKIM signatures are judged by it."""
    active = [
        name
        for name in expected["clocks"]
        if server.call(f"systemctl is-active {name}").stdout.strip() == "active"
    ]
    apart = abs(float(server.run("date +%s.%N")) - time.time())
    figure("Clock", "apart", round(apart, 1), expected["clock_seconds"], "s")
    assert active and apart < expected["clock_seconds"]


def test_the_repository_is_as_git_has_it(server):
    """What was edited on the host is gone with the next deployment, and nobody reviewed it."""
    git = f"git -c safe.directory={server.path}"
    assert server.run(f"{git} status --porcelain").splitlines() == []
    # Nor may git have been told to look away.
    hidden = [
        line for line in server.run(f"{git} ls-files -v").splitlines() if line[0].islower() or line[0] == "S"
    ]
    assert hidden == []
