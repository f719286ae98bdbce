"""`mailctl secrets init`: takes over, makes, fills, refuses; overwrites nothing and shows nothing."""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ENV, Cli

from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.secret_files.initialise import initialise
from mailctl.secret_files.table import VARIABLES, used

SOURCES, ENTRIES = used(several=False).sources, used(several=False).entries
COMPOSE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/docker-compose.yml"
NAMES = [entry.file for entry in ENTRIES]
CHOSEN = {
    "MYSQL_ROOT_PASSWORD": "root-password.1",
    "MYSQL_PASSWORD": "owner~password_2",
    "USERMGMT_DB_PASSWORD": "usermgmt-password",
    "SENDGRID_API_KEY": "SG.abc/def+ghi=",
    "CLOUDFLARED_TOKEN": "eyJhIjoiMTIzNDU2In0=",
    "CLOUDFLARE_API_TOKEN": "cfut_abcdefghijklmnop",
    "ACME_CLOUDFLARE_TOKEN": "cfut_qrstuvwxyzabcdef",
    "ALARM_URL": "ntfys://ntfy.sh/a-long-name-of-mine",
    "DEPLOY_HOOK_TOKEN": "h" * 32,
    "MAILSERVER_API_TOKEN": "t" * 43,
}
BAD = {
    "the placeholder of the document": ("MYSQL_PASSWORD", "<secure-password>", "placeholder"),
    "a placeholder for the relay key": ("SENDGRID_API_KEY", "<api-key>", "placeholder"),
    "eleven characters": ("MYSQL_ROOT_PASSWORD", "elevenchars", "too short: 11 of at least 12"),
    "a quote, which ends a DSN": ("MYSQL_PASSWORD", "abcdef'ghijklmn", "characters other than"),
    "an at sign, which splits a DSN": ("USERMGMT_DB_PASSWORD", "abcdef@ghijklmn", "characters other than"),
    "a space inside": ("SENDGRID_API_KEY", "SG.abc def.ghi", "characters other than"),
    "a letter beyond ASCII": ("MYSQL_PASSWORD", "pässword-longer", "characters other than"),
    "a token shorter than 32": ("MAILSERVER_API_TOKEN", "only-thirty-one-characters-long", "too short"),
    "a dollar that compose would expand": ("SENDGRID_API_KEY", "SG.$HOME.abcdef", "single quotes"),
}


def write_env(repo: Path, **values: str) -> None:
    (repo / ".env").write_text(ENV + "".join(f"{name}={value}\n" for name, value in values.items()))
    (repo / ".env").chmod(0o600)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES if (folder / name).exists()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_init_makes_every_file_with_the_modes_of_the_table(repo: Path, cli: Cli) -> None:
    result = cli("secrets", "init")
    assert result.exit_code == 0, result.stderr
    assert set(contents(repo / "secrets")) == set(NAMES)
    assert mode(repo / "secrets") == 0o700
    assert {n: mode(repo / "secrets" / n) for n in NAMES} == {e.file: e.mode for e in ENTRIES}


def test_what_is_made_has_the_form_its_reader_needs(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    made = {name: content.decode() for name, content in contents(repo / "secrets").items()}
    assert len(made["roundcube_des_key"]) == 24
    assert len(made["usermgmt_session_key"]) == 64
    assert len(made["mailserver_api_tokens"]) == 43
    assert len(made["usermgmt_admin_password"]) == 20
    assert all(len(made[n]) == 32 and made[n].isalnum() for n in made if n.endswith("_db_password"))
    assert made["relay_password"] == made["cloudflared_token"] == ""
    dovecot = f"mysql mariadb {{\n  password = {made['dovecot_db_password']}\n}}\n"
    assert made["dovecot_db.conf"] == dovecot
    assert made["valkey_auth.conf"] == f"requirepass {made['valkey_password']}\n"


def test_no_two_secrets_are_the_same(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    values = [content for content in contents(repo / "secrets").values() if content]
    assert len(values) == len(set(values))


def test_values_of_env_are_taken_over_exactly_and_may_then_be_removed(repo: Path, cli: Cli) -> None:
    write_env(repo, **CHOSEN)
    document = json.loads(cli("secrets", "init", "--json").stdout)
    for source in SOURCES:
        if source.variable:
            assert (repo / "secrets" / source.file).read_text() == CHOSEN[source.variable]
    assert sorted(document["taken"]) == sorted(document["removable_from_env"]) == sorted(VARIABLES)


def test_init_tells_that_the_values_may_be_removed_from_env(repo: Path, cli: Cli) -> None:
    write_env(repo, MYSQL_PASSWORD=CHOSEN["MYSQL_PASSWORD"])
    said = " ".join(cli("secrets", "init").stdout.split())
    assert "may now be removed from .env, the files hold them: MYSQL_PASSWORD" in said


@pytest.mark.parametrize("word", ["changeme", "CHANGE-ME", "change_this", ""])
def test_a_value_that_says_nothing_counts_as_not_given(repo: Path, cli: Cli, word: str) -> None:
    write_env(repo, MYSQL_PASSWORD=word)
    assert cli("secrets", "init").exit_code == 0
    assert len((repo / "secrets/mariadb_owner_password").read_text()) == 32


@pytest.mark.parametrize("case", BAD)
def test_a_bad_value_is_refused_by_name_never_shown_and_nothing_is_written(
    repo: Path, cli: Cli, case: str
) -> None:
    variable, value, message = BAD[case]
    write_env(repo, **{variable: value})
    result = cli("secrets", "init")
    said = " ".join((result.stdout + result.stderr).split())
    assert result.exit_code == 1
    assert f"{variable} (.env line 4, value not shown)" in said
    assert message in said
    assert value not in said.replace("<secure-password>", "")
    assert not (repo / "secrets").exists()


def test_all_bad_values_are_named_at_once(repo: Path, cli: Cli) -> None:
    write_env(repo, MYSQL_PASSWORD="short", SENDGRID_API_KEY="<x>", WEBMAIL_HOST="not a host")  # noqa: S106
    problems = json.loads(cli("secrets", "init", "--json").stdout)["problems"]
    assert [p["field"].split()[0] for p in problems] == ["MYSQL_PASSWORD", "SENDGRID_API_KEY", "WEBMAIL_HOST"]


def test_a_dollar_in_single_quotes_is_taken_literally(repo: Path, cli: Cli) -> None:
    write_env(repo, SENDGRID_API_KEY="'SG.$HOME.abcdef'")
    assert cli("secrets", "init").exit_code == 0
    assert (repo / "secrets/relay_password").read_text() == "SG.$HOME.abcdef"


def test_a_second_init_changes_nothing(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    before = {n: (repo / "secrets" / n).stat() for n in NAMES}
    document = json.loads(cli("secrets", "init", "--json").stdout)
    assert set(document["files"].values()) == {"kept", "left empty"}
    assert {n: (s.st_ino, s.st_mtime_ns) for n, s in before.items()} == {
        n: ((s := (repo / "secrets" / n).stat()).st_ino, s.st_mtime_ns) for n in NAMES
    }


def test_a_different_value_in_env_is_not_taken_and_the_warning_says_how_to_change_it(
    repo: Path, cli: Cli
) -> None:
    cli("secrets", "init")
    before = contents(repo / "secrets")
    write_env(repo, MYSQL_PASSWORD=CHOSEN["MYSQL_PASSWORD"])
    said = " ".join(cli("secrets", "init").stderr.split())
    assert contents(repo / "secrets") == before
    assert "MYSQL_PASSWORD in .env differs from mariadb_owner_password; the file was kept" in said
    assert ".venv/bin/mailctl secrets rotate mariadb_owner_password" in said


def test_an_api_token_that_is_one_of_two_valid_ones_does_not_differ(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    tokens = repo / "secrets/mailserver_api_tokens"
    tokens.chmod(0o600)
    tokens.write_text(f"{tokens.read_text()}\n{'n' * 43}\n")
    write_env(repo, MAILSERVER_API_TOKEN="n" * 43)
    assert json.loads(cli("secrets", "init", "--json").stdout)["differing"] == []


def test_an_empty_file_is_filled_when_env_holds_a_value_and_its_reader_is_named(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    write_env(repo, SENDGRID_API_KEY=CHOSEN["SENDGRID_API_KEY"])
    result = cli("secrets", "init")
    assert (repo / "secrets/relay_password").read_text() == CHOSEN["SENDGRID_API_KEY"]
    assert "docker compose up -d --force-recreate postfix" in result.stdout


def test_a_derived_file_follows_its_source(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    source = repo / "secrets/valkey_password"
    source.unlink()
    source.write_text("a-password-set-by-hand\n")
    document = json.loads(cli("secrets", "init", "--json").stdout)
    assert (repo / "secrets/valkey_auth.conf").read_text() == "requirepass a-password-set-by-hand\n"
    assert document["files"]["valkey_password"] == "kept"  # noqa: S105
    assert document["restart"] == ["valkey"]


def test_a_source_that_would_break_what_is_derived_from_it_is_refused_unseen(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    before = contents(repo / "secrets")
    (repo / "secrets/valkey_password").unlink()
    (repo / "secrets/valkey_password").write_text("hunter2hunter2\nrename-command")
    (repo / "secrets/postfix_db_password").unlink()
    result = cli("secrets", "init")
    assert result.exit_code == 1
    assert "valkey_password" in result.stderr and "hunter2" not in result.stderr
    assert not (repo / "secrets/postfix_db_password").exists()
    assert (repo / "secrets/valkey_auth.conf").read_bytes() == before["valkey_auth.conf"]


def test_open_files_and_folders_are_closed_with_a_warning(repo: Path, cli: Cli) -> None:
    cli("secrets", "init")
    (repo / ".env").chmod(0o644)
    (repo / "secrets").chmod(0o755)
    (repo / "secrets/internal_ca.key").chmod(0o644)
    said = " ".join(cli("secrets", "init").stderr.split())
    assert mode(repo / ".env") == 0o600
    assert mode(repo / "secrets") == 0o700
    assert mode(repo / "secrets/internal_ca.key") == 0o400
    assert ".env was open to other users" in said and "internal_ca.key" in said


@pytest.mark.parametrize("name", ["mariadb_root_password", "internal_ca.crt", ".lock"])
def test_a_symlink_in_the_folder_is_refused_and_what_it_names_stays(repo: Path, cli: Cli, name: str) -> None:
    target = repo / "precious"
    target.write_text("")
    (repo / "secrets").mkdir()
    (repo / "secrets" / name).symlink_to(target)
    result = cli("secrets", "init")
    assert result.exit_code == 1
    assert "is a symlink" in result.stderr
    assert target.read_text() == ""
    assert contents(repo / "secrets").keys() <= {name}


def test_a_folder_that_is_a_symlink_is_refused(repo: Path, cli: Cli) -> None:
    (repo / "elsewhere").mkdir()
    (repo / "secrets").symlink_to(repo / "elsewhere")
    assert cli("secrets", "init").exit_code == 1
    assert list((repo / "elsewhere").iterdir()) == []


def test_a_folder_that_docker_made_in_a_files_place_is_explained(repo: Path, cli: Cli) -> None:
    (repo / "secrets/relay_password").mkdir(parents=True)
    result = cli("secrets", "init")
    assert result.exit_code == 1
    assert "Docker makes a folder" in " ".join(result.stderr.split())


def test_a_new_password_for_an_existing_database_is_warned_about(repo: Path, cli: Cli) -> None:
    (repo / "ssd/mariadb/mysql").mkdir(parents=True)
    write_env(repo, SSD_PATH="./ssd")
    said = " ".join(cli("secrets", "init").stderr.split())
    assert "a database already exists" in said and "mariadb_root_password" in said
    assert "ledger_db_password" not in said, "its account is made where one host becomes several"


def test_what_only_several_hosts_have_is_what_the_compose_model_has_for_them_alone() -> None:
    mounted: dict[bool, set[str]] = {True: set(), False: set()}
    several = False
    for line in COMPOSE.read_text().splitlines():
        if "#% if" in line:
            several = 'scale == "swarm"' in line
        elif "#% endif" in line:
            several = False
        elif found := re.search(r"/secrets\}/([^\"]+)", line):
            mounted[several].add(found[1])
    alone = {entry.file for entry in used(several=True).entries if entry.several}
    assert alone == mounted[True] | {"dovecot_store_password"}, "which two files of theirs are made from"
    assert not alone & mounted[False]


def test_a_host_that_becomes_one_of_several_gets_what_they_need_and_hears_what_was_made(
    repo: Path, cli: Cli
) -> None:
    cli("secrets", "init")
    before = contents(repo / "secrets")
    (repo / "nodes.yml").write_text("nodes: [{name: mail1, shard: a}]\n")
    result = cli("secrets", "init")
    later = {entry.file for entry in used(several=True).entries} - set(NAMES)
    assert "dovecot_store_tls.crt" in later
    assert all(f"{name}: made" in result.stdout for name in later)
    assert {path.name for path in (repo / "secrets").iterdir()} == later | {*NAMES, ".lock"}
    assert contents(repo / "secrets") == before and not result.stderr
    assert cli("secrets", "status").exit_code == 0


def test_on_several_hosts_a_changed_secret_comes_by_a_deployment(repo: Path, cli: Cli) -> None:
    (repo / "nodes.yml").write_text("nodes: [{name: mail1, shard: a}]\n")
    cli("secrets", "init")
    (repo / "secrets/valkey_tls.crt").unlink()
    (repo / "secrets/postfix_tls.crt").write_text("")
    said = cli("secrets", "init").stdout
    assert "mailctl swarm deploy" in said and "docker compose" not in said


def test_the_folder_is_where_compose_looks_for_it_or_where_the_user_says(repo: Path, cli: Cli) -> None:
    write_env(repo, SECRETS_DIR="./kept/elsewhere")
    cli("secrets", "init")
    cli("secrets", "init", "--dir", "third")
    assert set(contents(repo / "kept/elsewhere")) == set(contents(repo / "third")) == set(NAMES)


def test_no_command_ever_prints_a_secret(repo: Path, cli: Cli) -> None:
    write_env(repo, **CHOSEN)
    results = [
        cli(*words, *json_option)
        for words in (("secrets", "init"), ("secrets", "init"), ("secrets", "status"))
        for json_option in ((), ("--json",))
    ]
    said = "".join(result.stdout + result.stderr for result in results)
    hidden = [c.decode().strip() for c in contents(repo / "secrets").values() if c]
    assert not [name for name in hidden if name in said]


def test_two_inits_at_once_do_not_mix(repo: Path) -> None:
    command = [sys.executable, "-m", "mailctl", "secrets", "init", "--json"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(command, cwd=repo, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    documents = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    made = [name for document in documents for name, action in document["files"].items() if action == "made"]
    assert sorted(made) == sorted(
        set(NAMES)
        - {"relay_password", "cloudflared_token", "cloudflare_api_token", "aws_uploader_key", "alarm_urls"}
        - {"acme_cloudflare_token"}
        - {"deploy_hook_token"}
    )


def test_an_ordinary_user_can_do_it_all() -> None:
    """No step needs root. Run as root the test becomes `nobody` for its duration."""
    from mailctl.secret_files import certificates

    assert certificates.new_key()  # imported while everything is readable
    user = os.geteuid() or 65534
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / ".env").write_text(ENV)
        for path in (root, root / ".env"):
            os.chown(path, user, -1)
        before = os.geteuid()
        os.seteuid(user)
        try:
            report = initialise(Context(root, Output(), environ={}), root / "secrets")
        finally:
            os.seteuid(before)
        assert len(report.actions) == len(NAMES)
        assert {p.stat().st_uid for p in (root / "secrets").iterdir()} == {user}
