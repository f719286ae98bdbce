"""`mailctl status`: the truth about every service, from the real docker SDK and a fake engine."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ENV, Cli
from fakes import FakeDocker, FakeEngine, container
from mail_logs import Mail, inbound, outgoing
from test_queue import listed

from mailctl.core import job_results
from mailctl.core.context import Context
from mailctl.core.encryption import new_identity
from mailctl.deploy.records import Records
from mailctl.secret_files.certificates import SERVICE_DAYS
from mailctl.status.report import LEARNED

SERVICES = {"nginx": {"depends_on": {"mariadb": {}}}, "mariadb": {}}


@pytest.fixture(autouse=True)
def two_services(docker: FakeDocker) -> None:
    docker.configure(**SERVICES)


def healthy() -> list[dict[str, object]]:
    return [container(name) for name in SERVICES]


def test_all_healthy_is_exit_code_0_with_every_figure(cli: Cli, engine: FakeEngine) -> None:
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "443/tcp": None}
    engine.containers = [container("nginx", ports=ports, restarts=3), container("mariadb")]
    result = cli("status", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["ok"], document["project"]) == (True, "shop-mail")
    mariadb, nginx = document["services"]
    assert mariadb["service"] == "mariadb", "services are in the order in which they start"
    assert nginx["uptime_seconds"] > 0
    del nginx["uptime_seconds"]
    assert nginx == {
        "service": "nginx",
        "ok": True,
        "state": "healthy",
        "image": f"example/nginx:1.2@sha256:{'0' * 64}",
        "image_id": "",
        "pinned": "shop-mail-nginx",
        "restarts": 3,
        "memory_bytes": 256 * 1024**2,
        "memory_limit_bytes": 512 * 1024**2,
        "cpu_percent": 10.0,
        "ports": ["127.0.0.1:8080→80"],
    }


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"health": "unhealthy"}, "unhealthy"),
        ({"health": "starting"}, "starting"),
        ({"status": "exited", "exit_code": 137}, "exited 137"),
        ({"status": "exited", "exit_code": 0}, "exited 0"),
        ({"status": "restarting", "health": None}, "restarting"),
        ({"status": "paused"}, "paused"),
    ],
)
def test_anything_else_than_healthy_is_exit_code_1_and_named(
    cli: Cli, engine: FakeEngine, changes: dict[str, object], word: str
) -> None:
    engine.containers = [container("mariadb"), container("nginx", **changes)]
    result = cli("status")
    assert result.exit_code == 1
    assert word in result.stdout
    assert "1 of 2 services are not healthy" in result.stdout
    assert "docker compose logs --tail=50 nginx" in result.stdout


def test_a_service_without_a_container_is_absent(cli: Cli, engine: FakeEngine) -> None:
    engine.containers = [container("mariadb")]
    result = cli("status")
    assert result.exit_code == 1
    assert "absent" in result.stdout
    assert "next: docker compose up -d" in result.stdout


def test_before_the_first_start_the_next_command_is_named(cli: Cli, engine: FakeEngine) -> None:
    result = cli("status")
    assert result.exit_code == 1
    assert "2 of 2 services are not healthy" in result.stdout and "docker compose up -d" in result.stdout


@pytest.mark.parametrize(
    "changes",
    [{"health": None}, {"status": "exited", "exit_code": 0, "restart_policy": "no", "health": None}],
    ids=["no healthcheck", "one-shot job that is done"],
)
def test_what_cannot_be_healthy_is_fine_when_it_does_what_it_should(
    cli: Cli, engine: FakeEngine, changes: dict[str, object]
) -> None:
    engine.containers = [container("mariadb"), container("nginx", **changes)]
    assert cli("status").exit_code == 0


def test_containers_of_other_projects_do_not_count(cli: Cli, engine: FakeEngine) -> None:
    engine.containers = [
        container("mariadb"),
        container("nginx"),
        container("blog", project="x", health="bad"),
    ]
    document = json.loads(cli("status", "--json").stdout)
    assert [entry["service"] for entry in document["services"]] == ["mariadb", "nginx"]


def test_a_container_beside_the_compose_file_is_shown_last(cli: Cli, engine: FakeEngine) -> None:
    engine.containers = [container("old"), container("mariadb"), container("nginx")]
    document = json.loads(cli("status", "--json").stdout)
    assert [entry["service"] for entry in document["services"]] == ["mariadb", "nginx", "old"]


def test_the_project_name_of_env_wins_over_the_compose_file(repo: Path, cli: Cli, engine: FakeEngine) -> None:
    (repo / ".env").write_text(f"{ENV}COMPOSE_PROJECT_NAME=other\n")
    engine.containers = [container(name, project="other") for name in SERVICES]
    assert json.loads(cli("status", "--json").stdout)["project"] == "other"


def test_the_disks_are_shown_and_one_that_is_not_there_is_wrong(
    repo: Path, cli: Cli, engine: FakeEngine
) -> None:
    (repo / "ssd").mkdir()
    (repo / ".env").write_text(f"{ENV}SSD_PATH=./ssd\nHDD_PATH=/no/such/disk\n")
    engine.containers = healthy()
    result = cli("status")
    assert result.exit_code == 1
    assert "SSD_PATH" in result.stdout and "% used" in result.stdout
    assert "/no/such/disk does not exist" in result.stdout and "Wrong: HDD_PATH" in result.stdout
    ssd, hdd = json.loads(cli("status", "--json").stdout)["disks"]
    assert ssd["path"] == str(repo / "ssd") and ssd["free_bytes"] > 0
    assert hdd["used_percent"] is None


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_is_wider_than_the_terminal(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    places = [{"HostIp": "127.0.0.1", "HostPort": str(n)} for n in (1587, 1465)]
    engine.containers = [
        container("mariadb", image="roundcube/roundcubemail:1.7.4-apache-nonroot@sha256:00"),
        container("nginx", ports={"587/tcp": places}),
    ]
    monkeypatch.setenv("COLUMNS", str(width))
    result = cli("status")
    assert max(len(line) for line in result.stdout.splitlines()) <= width
    assert ("1587" in result.stdout) is (width >= 80)


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """So many days from now, for who looks at secrets."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr("mailctl.secret_files.inspect.datetime", Clock)


def marks(cli: Cli) -> dict[str, str]:
    """The mark of each line; what is not ok names what to do."""
    lines = json.loads(cli("status", "--json").stdout)["lines"]
    assert all(line["fix"] for line in lines if line["mark"] != "ok"), lines
    return {line["name"]: line["mark"] for line in lines}


def test_secrets_and_certificates_are_told_before_they_end(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.containers = healthy()
    assert cli("secrets", "init").exit_code == 0
    assert (marks(cli)["certificates"], marks(cli)["secrets"]) == ("ok", "ok")
    assert "next rotation" in " ".join(cli("status").stdout.split())
    later(monkeypatch, SERVICE_DAYS - 10)
    result = cli("status")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert "dovecot_tls.crt has 9 days left" in said and "make setup renews it" in said
    assert "internal_ca.crt" not in said and "rotation is due: mariadb_root_password" in said
    later(monkeypatch, SERVICE_DAYS + 1)
    assert cli("status").exit_code == 1 and marks(cli)["certificates"] == "failed"


def test_where_secrets_are_in_git_as_well_it_is_told_when_they_differ(
    repo: Path, cli: Cli, engine: FakeEngine
) -> None:
    engine.containers = healthy()
    assert cli("secrets", "init").exit_code == 0
    assert "sealed" not in marks(cli), "unless secrets are kept in git"
    (repo / "secrets.age").mkdir()
    (repo / "secrets.age/recipients.txt").touch()
    assert marks(cli)["sealed"] == "warning"
    assert "make backup-key" in " ".join(cli("status").stdout.split())
    key = new_identity().split()[3].decode()
    (repo / ".env").write_text(f"{ENV}BACKUP_AGE_RECIPIENTS={key}\n")
    assert "not in git yet" in " ".join(cli("status").stdout.split())
    assert cli("secrets", "seal").exit_code == 0
    assert marks(cli)["sealed"] == "ok"
    (repo / "secrets/relay_password").unlink()
    (repo / "secrets/relay_password").write_text("by hand")
    said = " ".join(cli("status").stdout.split())
    assert "newer on this host: relay_password" in said and "secrets seal, then commit" in said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ("312\n1204\n", "312 mails as spam, 1204 as wanted"),
        ("\n7\n", "0 mails as spam, 7 as wanted; it counts from 200 of each on"),
    ],
)
def test_it_says_what_the_filter_has_learned(
    cli: Cli, engine: FakeEngine, docker: FakeDocker, counts: str, said: str
) -> None:
    docker.configure(**SERVICES, valkey={})
    engine.containers = [*healthy(), container("valkey")]
    docker.answer(LEARNED, counts)
    lines = json.loads(cli("status", "--json").stdout)["lines"]
    assert [line["found"] for line in lines if line["name"] == "learned"] == [said]


@pytest.mark.parametrize(
    ("queue", "age", "mark"),
    [
        ("active", 10, "ok"),
        ("active", 900, "warning"),
        ("deferred", 60, "warning"),
        ("hold", 90_000, "warning"),
        ("deferred", 15_000, "failed"),
    ],
)
def test_mail_that_waits_is_told_and_is_wrong_when_its_sender_hears_of_it(
    cli: Cli, engine: FakeEngine, docker: FakeDocker, queue: str, age: int, mark: str
) -> None:
    engine.containers = [*healthy(), container("postfix")]
    assert marks(cli)["queue"] == "ok"
    docker.answer("-j", listed("4jb64t38NBzJmhw", queue, age))
    assert marks(cli)["queue"] == mark
    assert cli("status").exit_code == (1 if mark == "failed" else 0)
    assert json.loads(cli("status", "--json").stdout)["queue"]["count"] == 1


def test_the_last_mails_are_those_of_postfixs_log(cli: Cli, engine: FakeEngine) -> None:
    said = [*inbound(Mail("4jb64t38NBzJmhw", "a@b")), *outgoing(Mail("4jb64x3KlfzJmjF", "c@d"))]
    log = "".join(f"{text}\n" for service, text in said if service == "postfix")
    engine.containers = [*healthy(), container("postfix", log=log)]
    found = json.loads(cli("status", "--json").stdout)["mails"]
    assert 0 < found["arrived"] < found["sent"]
    assert "last arrived" in cli("status").stdout


@pytest.fixture
def deployed(cli: Cli, engine: FakeEngine, repo: Path) -> Path:
    """A repository in git, whose two services run as it describes them, deployed."""
    engine.images = {"shop-mail-nginx", "shop-mail-mariadb"}
    engine.containers = [container(name, image_id="sha256:1") for name in SERVICES]
    (repo / ".gitignore").write_text(".env\nssd\n")
    (repo / "ssd").mkdir()
    (repo / ".env").write_text(f"{ENV}SSD_PATH=./ssd\n")
    git(repo, "init", "-q", "-b", "main")
    commit(repo)
    point = {"ref": git(repo, "rev-parse", "HEAD"), "images": {}}
    Records(repo / "ssd/.mailctl/deploy").add("1", {"result": "deployed", "state": point})
    return repo


def git(repo: Path, *words: str) -> str:
    name = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    done = subprocess.run(["git", *name, *words], cwd=repo, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(repo: Path) -> None:
    git(repo, "add", "--all")
    git(repo, "commit", "-q", "--allow-empty", "-m", "a change")


def test_what_runs_as_git_says_has_no_drift(cli: Cli, deployed: Path) -> None:
    found = marks(cli)
    assert (found["commit"], found["deployed"], found["drift"]) == ("ok", "ok", "ok")
    assert {"edited", "upstream"}.isdisjoint(found)


def test_each_way_to_come_apart_from_git_is_told_with_what_to_do(
    cli: Cli, deployed: Path, engine: FakeEngine
) -> None:
    (deployed / "config").mkdir()
    (deployed / "config" / "new.cf").write_text("")
    assert marks(cli)["edited"] == "warning"
    assert json.loads(cli("status", "--json").stdout)["git"]["edited"] == ["config/"]
    commit(deployed)
    assert marks(cli)["deployed"] == "warning"
    head = git(deployed, "rev-parse", "HEAD")
    commit(deployed)
    git(deployed, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(deployed, "checkout", "-q", head)
    assert marks(cli)["upstream"] == "warning"
    engine.containers[0]["Image"] = "sha256:other"
    engine.containers[1]["Config"]["Labels"]["com.docker.compose.config-hash"] = "other"
    found = json.loads(cli("status", "--json").stdout)["drift"]
    assert "another image" in found["nginx"] and "other settings" in found["mariadb"]
    assert cli("status").exit_code == 0, "nothing is in danger"


def test_a_backup_that_stopped_to_end_well_is_wrong_and_one_that_never_ran_is_not(
    cli: Cli, deployed: Path, engine: FakeEngine, context: Context
) -> None:
    (deployed / "hdd" / "mailboxes").mkdir(parents=True)
    (deployed / ".env").write_text(f"{ENV}SSD_PATH=./ssd\nHDD_PATH=./hdd\n")
    assert marks(cli)["backup"] == "warning" and cli("status").exit_code == 0
    job_results.record(context, "backup", True, {})
    assert marks(cli)["backup"] == "ok"
    job_results.record(context, "backup", False, {})
    assert marks(cli)["backup"] == "failed" and cli("status").exit_code == 1


def test_watching_goes_on_through_an_engine_that_is_away_and_ends_with_ctrl_c(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.containers = healthy()
    looks = iter([None, None, KeyboardInterrupt])

    def sleep(_: float) -> None:
        engine.listing_fails_with = None if engine.listing_fails_with else "it is away"
        if (error := next(looks)) is not None:
            raise error

    monkeypatch.setattr("mailctl.status.cli.time.sleep", sleep)
    result = cli("status", "--watch", "7")
    assert result.exit_code == 0, result.stderr
    assert "every 7 s" in result.stdout and "all 2 services are healthy" in result.stdout


def test_seconds_belong_to_watching_and_watching_to_people(cli: Cli, engine: FakeEngine) -> None:
    assert cli("status", "7").exit_code == 2
    assert cli("status", "--watch", "--json").exit_code == 2


def test_an_engine_that_does_not_answer_is_a_clear_refusal(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    result = cli("status")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "error: docker engine" in said and "does not answer" in said and "systemctl start docker" in said
    assert "Traceback" not in result.stderr


def test_what_an_engine_that_answers_could_not_do_is_told_in_its_own_words(
    cli: Cli, engine: FakeEngine
) -> None:
    engine.listing_fails_with = "layer does not exist"
    result = cli("status", "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["field"] == "docker engine" and "layer does not exist" in problem["wrong"]
    assert "does not answer" not in problem["wrong"]


def test_a_broken_compose_file_is_refused_with_composes_own_words(
    cli: Cli, engine: FakeEngine, docker: FakeDocker
) -> None:
    docker.answer("config", stderr="yaml: line 3: found a tab\n", code=15)
    result = cli("status")
    assert result.exit_code == 1
    assert "found a tab" in result.stderr and "exit code 15" in " ".join(result.stderr.split())


def test_without_a_docker_command_it_says_what_to_install(
    cli: Cli, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = cli("status")
    assert result.exit_code == 1
    assert "not on PATH" in result.stderr
