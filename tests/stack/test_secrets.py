"""No secret value is to be found where it can be read by mistake."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

# Files in the folder of secrets that are public by nature.
USERMGMT = {
    *("usermgmt_db_password", "usermgmt_session_key", "usermgmt_admin_password"),
    "roundcube_oauth_client_secret",
    *("doveadm_api_key", "internal_ca_crt"),
}
ROUNDCUBE = {
    *("roundcube_db_password", "roundcube_des_key", "roundcube_oauth_client_secret"),
    "internal_ca_crt",
}
DOVECOT = {
    *("dovecot_db", "doveadm_api", "dovecot_tls_crt", "dovecot_tls_key"),
    *("internal_ca_crt", "rspamd_controller_password"),
}
PUBLIC = {"internal_ca.crt", "dovecot_tls.crt", "postfix_tls.crt", "sink_tls.crt", ".lock"}


@pytest.fixture
def secrets(stack) -> dict[str, str]:
    """Each line of each secret file of this stack, by the file's name and the line's number."""
    folder = stack.repository / ".local" / "secrets"
    values = {path.name: path.read_text().strip() for path in folder.iterdir() if path.name not in PUBLIC}
    lines = {f"{name}:{n}": line for name, text in values.items() for n, line in enumerate(text.splitlines())}
    # Not what frames a key, nor what opens a block of settings.
    return {
        name: line
        for name, line in lines.items()
        if len(line) >= 16 and not line.startswith("-----") and not line.endswith("{")
    }


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, value in secrets.items() if value in text]


def test_there_are_secrets_to_look_for(secrets):
    assert len(secrets) > 15


def test_docker_inspect_shows_no_secret(stack, secrets):
    for service in stack.services():
        assert not found_in(str(stack.inspect(service)), secrets), service


def test_docker_compose_config_shows_no_secret(stack, secrets):
    environment = {
        **os.environ,
        "SECRETS_DIR": str(stack.repository / ".local" / "secrets"),
        "SSD_PATH": "/ssd",
        "HDD_PATH": "/hdd",
        "ADMIN_EMAIL": "a@b.example",
    }
    command = ["docker", "compose", "-f", "docker-compose.yml", "-f", "compose.local.yml", "config"]
    shown = subprocess.run(
        command, cwd=stack.repository, env=environment, capture_output=True, text=True, check=True
    )
    assert "services:" in shown.stdout
    assert not found_in(shown.stdout, secrets)


def test_no_log_holds_a_secret(stack, secrets, mailboxes):
    reader = mailboxes.new()
    assert reader.imap.noop()[0] == "OK"
    for service in stack.services():
        log = stack.logs(service)
        assert not found_in(log, secrets), service
        assert reader.password not in log, service


def test_what_make_local_printed_holds_only_the_passwords_it_is_for(stack, secrets):
    printed = stack.output[-1]
    expected = {"usermgmt_admin_password:0"}
    assert set(found_in(printed, secrets)) <= expected


def test_git_tracks_no_secret(stack, secrets, tmp_path):
    """`git add --all` in the generated repository, with the trial's state in it, takes no secret along."""
    git = ["git", f"--git-dir={tmp_path / 'git'}", f"--work-tree={stack.repository}"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True, capture_output=True)
    listed = subprocess.run(
        [*git, "ls-files"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert "docker-compose.yml" in listed and ".env.example" in listed
    for name in listed:
        text = (stack.repository / name).read_text(errors="replace")
        assert not found_in(text, secrets), name


def test_the_folder_of_secrets_is_closed_to_others(stack):
    folder = stack.repository / ".local" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "internal_ca.key").stat().st_mode) == 0o400


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("nginx", set()),
        ("mailserver-api", {"mailserver_api_tokens", "deploy_hook_token", "internal_ca_crt"}),
        ("usermgmt", USERMGMT),
        ("roundcube", ROUNDCUBE),
        ("rspamd", {"rspamd_controller_password", "valkey_password"}),
        ("dovecot", DOVECOT),
    ],
)
def test_a_service_is_given_its_own_secrets_only(stack, service, expected):
    mounts = {m["Destination"] for m in stack.inspect(service)["Mounts"]}
    given = {path.removeprefix("/run/secrets/") for path in mounts if path.startswith("/run/secrets/")}
    assert given == expected


@pytest.mark.parametrize(
    ("account", "statement"),
    [
        ("postfix", "SELECT password_hash FROM mailboxes"),
        ("postfix", "DELETE FROM mailboxes"),
        ("dovecot", "SELECT * FROM admins"),
        ("dovecot", "UPDATE mailboxes SET active = 0"),
        ("roundcube", "SELECT * FROM mailserver.mailboxes"),
        ("usermgmt", "DROP TABLE audit_log"),
        ("usermgmt", "DELETE FROM audit_log"),
    ],
)
def test_a_database_account_can_do_no_more_than_its_work(stack, account, statement):
    database = "roundcube" if account == "roundcube" else "mailserver"
    client = f'mariadb --host=mariadb --user={account} --password="$(cat /run/secrets/{account}_db_password)"'
    with pytest.raises(AssertionError, match="denied"):
        stack.exec("mariadb", "sh", "-c", f"{client} {database}", stdin=statement)
