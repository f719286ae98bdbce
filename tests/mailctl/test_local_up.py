"""`mailctl local up`: the whole stack without an account, on a fake docker command and a fake engine."""

import json
from pathlib import Path

import pytest
from conftest import ENV, Cli
from cryptography import x509
from fakes import FakeDocker, FakeEngine, container
from local_stack import LOCAL, running, up

from mailctl.secret_files.certificates import covered_names, fits

pytestmark = pytest.mark.usefixtures("local_stack")


def test_up_ends_with_addresses_and_passwords(repo: Path, cli: Cli, free_ports: dict[str, int]) -> None:
    result = cli("local", "up")
    assert result.exit_code == 0, result.stderr
    kept = json.loads((repo / ".local/info.json").read_text())
    admin = (repo / ".local/secrets/usermgmt_admin_password").read_text()
    for text in (
        f"http://127.0.0.1:{free_ports['LOCAL_WEB_PORT']}/",
        f"http://localhost:{free_ports['LOCAL_WEB_PORT']}/",
        f"me@example.com  {kept['password']}",
        f"admin@example.com  {admin}",
        f"http://127.0.0.1:{free_ports['LOCAL_SINK_PORT']}/",
        f"127.0.0.1:{free_ports['LOCAL_IMAPS_PORT']}  TLS",
        f"127.0.0.1:{free_ports['LOCAL_SUBMISSION_PORT']}  STARTTLS",
        str(repo / ".local/secrets/mailserver_api_tokens"),
        str(repo / ".local/secrets/internal_ca.crt"),
    ):
        assert text in result.stdout


def test_a_repository_for_several_hosts_is_not_started_on_one_machine(
    repo: Path, cli: Cli, docker: FakeDocker
) -> None:
    (repo / "nodes.yml").write_text("nodes: []\n")
    result = cli("local", "up")
    assert result.exit_code == 1 and "scale: single" in result.stderr and not docker.calls_with("up")


def test_up_tells_each_step_on_stderr_as_plain_lines(cli: Cli) -> None:
    said = cli("local", "up").stderr
    assert "[1/7]" in said and "[7/7] ready" in said
    assert "usermgmt: built in" in said
    assert "mariadb: starting" in said and "usermgmt: healthy" in said
    assert "\x1b" not in said


def test_the_trial_touches_neither_env_nor_secrets_of_the_server(repo: Path, cli: Cli) -> None:
    (repo / ".env").write_text("MAIL_DOMAIN=real.example\n")
    before = {path.name for path in repo.iterdir()}
    up(cli)
    assert {path.name for path in repo.iterdir()} == before | {".local"}
    assert (repo / ".env").read_text() == "MAIL_DOMAIN=real.example\n"


def test_compose_sees_only_the_trials_own_settings(
    repo: Path, cli: Cli, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "edge")
    monkeypatch.setenv("COMPOSE_FILE", "other.yml")
    monkeypatch.setenv("SSD_PATH", "/srv/the/real/disk")
    up(cli)
    for call in docker.calls:
        environ, arguments = call["environ"], call["arguments"]
        assert environ["SSD_PATH"] == str(repo / ".local/ssd")
        assert environ["HDD_PATH"] == str(repo / ".local/hdd")
        assert environ["SECRETS_DIR"] == str(repo / ".local/secrets")
        assert environ["LAN_ADDRESS"] == "127.0.0.1"
        assert environ["COMPOSE_PROFILES"] == "" and "COMPOSE_FILE" not in environ
        assert arguments[arguments.index("--project-name") + 1] == LOCAL
        assert arguments[arguments.index("--env-file") + 1] == str(repo / ".local/.env")


def test_overrides_of_the_environment_and_the_command_line_follow_the_two_files(
    repo: Path, cli: Cli, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.yml", "two.yml", "three.yml"):
        (repo / name).write_text("services: {}\n")
    monkeypatch.setenv("MAILCTL_LOCAL_OVERRIDES", f"{repo}/one.yml:two.yml")
    up(cli, "--override", "three.yml")
    arguments = docker.calls[0]["arguments"]
    files = [Path(arguments[i + 1]).name for i, word in enumerate(arguments) if word == "--file"]
    assert files == ["docker-compose.yml", "compose.local.yml", "one.yml", "two.yml", "three.yml"]


def test_an_override_that_is_not_there_is_misuse(cli: Cli, docker: FakeDocker) -> None:
    assert cli("local", "up", "--override", "nope.yml").exit_code == 2
    assert docker.calls == []


def test_the_folders_of_bound_volumes_are_made_below_local_only(repo: Path, cli: Cli) -> None:
    up(cli)
    assert (repo / ".local/ssd/mariadb").is_dir() and (repo / ".local/hdd").is_dir()


def test_a_trial_of_the_same_name_in_another_folder_is_named_before_anything_starts(
    repo: Path, cli: Cli, docker: FakeDocker, engine: FakeEngine
) -> None:
    engine.volumes[f"{LOCAL}_db"] = "/home/me/old/.local/ssd/mariadb"
    result = cli("local", "up")
    assert result.exit_code == 1 and "/home/me/old/.local/ssd/mariadb" in result.stderr
    assert "docker volume rm" in result.stderr and not (repo / ".local/secrets").exists()
    engine.volumes[f"{LOCAL}_db"] = str(repo / ".local/ssd/mariadb")
    up(cli)


def test_the_sink_has_a_certificate_of_the_internal_ca_for_the_relays_name(repo: Path, cli: Cli) -> None:
    up(cli)
    folder = repo / ".local/secrets"
    pem, key, ca = ((folder / n).read_bytes() for n in ("sink_tls.crt", "sink_tls.key", "internal_ca.crt"))
    assert "smtp.relay.example" in covered_names(x509.load_pem_x509_certificate(pem))
    assert fits(pem, key, ca)
    assert (folder / "sink_tls.key").stat().st_mode & 0o777 == 0o444


def test_the_relay_has_a_login_to_try_although_no_account_exists(repo: Path, cli: Cli) -> None:
    up(cli)
    assert len((repo / ".local/secrets/relay_password").read_text()) >= 12


def test_the_trial_of_an_older_version_gets_the_tables_of_this_one(cli: Cli, docker: FakeDocker) -> None:
    docker.answer("--skip-column-names", "0001\n")
    up(cli)
    asked = docker.calls_with("--skip-column-names")[-1]["stdin"]
    assert [line for line in asked.splitlines() if line[:3] == "SQL"] == ["SQL of 2;", "SQL of 3;"]


def test_the_first_mailbox_is_made_by_usermgmt_and_its_password_is_never_an_argument(
    cli: Cli, docker: FakeDocker
) -> None:
    info = up(cli)
    made = docker.calls_with("ensure")[-1]
    assert made["arguments"][-3:] == ["usermgmt", "usermgmt", "ensure"]
    me = {"email": "me@example.com", "password": info["mailbox_password"]}
    assert json.loads(made["stdin"]) == {"domains": [{"name": "example.com"}], "mailboxes": [me]}
    assert info["mailbox_password"] not in json.dumps([call["arguments"] for call in docker.calls])


def test_a_second_up_keeps_every_password(repo: Path, cli: Cli) -> None:
    first = up(cli)
    assert up(cli) == first
    assert json.loads(cli("local", "info", "--json").stdout) == first
    assert (repo / ".local/info.json").stat().st_mode & 0o777 == 0o600


def test_secrets_and_what_is_fixed_are_left_out_of_the_local_env(repo: Path, cli: Cli) -> None:
    (repo / ".env.example").write_text(f"{ENV}MYSQL_PASSWORD=<secure-password>\nSSD_PATH=/srv\nTZ=UTC\n")
    up(cli)
    assert "TZ=UTC" in (repo / ".local/.env").read_text()
    assert "MYSQL_PASSWORD" not in (repo / ".local/.env").read_text()
    assert "SSD_PATH" not in (repo / ".local/.env").read_text()


def test_a_variable_the_example_has_gained_is_added_and_an_edited_one_stays(repo: Path, cli: Cli) -> None:
    up(cli)
    local = repo / ".local/.env"
    local.write_text(local.read_text().replace("MAIL_DOMAIN=example.com", "MAIL_DOMAIN=mine.example"))
    (repo / ".env.example").write_text(f"{ENV}NEW_SETTING=1\n")
    up(cli)
    assert "MAIL_DOMAIN=mine.example" in local.read_text() and "NEW_SETTING=1" in local.read_text()
    assert local.read_text().count("WEBMAIL_HOST") == 1


def test_only_missing_images_are_fetched(cli: Cli, docker: FakeDocker, engine: FakeEngine) -> None:
    engine.images = {"mariadb:11"}
    up(cli)
    assert docker.calls_with("pull")[0]["arguments"][-3:] == ["pull", "--quiet", "mailpit"]


def test_when_all_images_are_here_no_registry_is_asked(cli: Cli, docker: FakeDocker) -> None:
    up(cli)
    assert docker.calls_with("pull") == []


def test_a_build_that_fails_shows_the_builders_last_lines_and_starts_nothing(
    cli: Cli, docker: FakeDocker
) -> None:
    docker.answer("build", "#3 [usermgmt 2/2] RUN false\n#3 ERROR: exit code: 1\n", code=17)
    result = cli("local", "up")
    assert result.exit_code == 1
    assert "#3 ERROR: exit code: 1" in result.stderr and "docker compose build" in result.stderr
    assert docker.calls_with("up") == []


def test_a_service_that_stays_unhealthy_is_named_with_its_log_and_healthcheck(
    cli: Cli, engine: FakeEngine
) -> None:
    broken = running(usermgmt="created")
    words = {"health_output": "no socket", "log": "disk is full\n"}
    broken[0] = container("mariadb", LOCAL, health="unhealthy", **words)
    engine.timeline = [[], broken]
    result = cli("local", "up", "--wait", 1)
    said = " ".join(result.stderr.split())
    assert result.exit_code == 1
    assert "disk is full" in said and "no socket" in said
    assert "mariadb (unhealthy)" in said
    assert "usermgmt (" not in said, "what only waits for others is not the cause"


def test_a_service_that_failed_and_came_up_again_is_shown_beside_those_that_stay_unhealthy(
    cli: Cli, engine: FakeEngine
) -> None:
    broken = running(usermgmt="unhealthy")
    broken[0] = container("mariadb", LOCAL, restarts=1, log="the disk was full\n")
    engine.timeline = [[], broken]
    said = cli("local", "up", "--wait", 1).stderr
    assert "the disk was full" in said
    assert "last words of mailpit" not in said, "it never failed"


def test_a_container_that_keeps_crashing_ends_the_wait_early(cli: Cli, engine: FakeEngine) -> None:
    def crashing(restarts: int) -> list[dict[str, object]]:
        one = container(
            "mariadb", LOCAL, status="restarting", health=None, restarts=restarts, log="bad option\n"
        )
        return [one, *running()[1:]]

    engine.timeline = [[], crashing(0), crashing(4), crashing(8)]
    result = cli("local", "up", "--wait", 20)
    assert result.exit_code == 1
    assert "bad option" in result.stderr
    assert "not healthy after 20 s" not in result.stderr


def test_an_up_that_fails_is_refused_with_composes_own_words(
    cli: Cli, docker: FakeDocker, engine: FakeEngine
) -> None:
    docker.answer("up", stderr="network shop-mail_edge: pool overlaps\n", code=1)
    engine.timeline = []
    result = cli("local", "up")
    assert result.exit_code == 1
    assert "pool overlaps" in result.stderr


def test_a_seed_that_fails_shows_what_usermgmt_said(cli: Cli, docker: FakeDocker) -> None:
    docker.answer("ensure", stderr="the password is too short\n", code=1)
    result = cli("local", "up")
    assert result.exit_code == 1
    assert "the password is too short" in result.stderr
