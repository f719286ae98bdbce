"""The command line as a whole: fast, complete, and the same manners in every command."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from conftest import Cli
from walk import COMMANDS, SCHEMAS

from mailctl import __version__

# What a command cannot be called without.
ARGUMENTS = {
    ("secrets", "rotate"): ("mariadb_root_password",),
    ("host", "failed"): ("mailserver-backup",),
    ("trace",): ("4jb64t38NBzJmhw",),
    **{("agent", verb): ("0" * 40,) for verb in ("carry-out", "rehearse")},
    ("alarm", "silence"): ("disk", "--for", "2h"),
    ("export",): ("a@example.com",),
    **{("node", verb): ("mail1",) for verb in ("add", "drain", "fail", "return")},
    ("mailbox", "move"): ("a@example.com", "--to", "b"),
    ("erase",): ("a@example.com",),
    **{
        ("user", verb): ("a@example.com",)
        for verb in ["show", "add", "set", "password", "enable", "disable", "delete", "restore", "erase"]
    },
    **{("domain", verb): ("example.com",) for verb in ("show", "add", "set", "enable", "disable", "delete")},
    **{("alias", verb): ("a@example.com",) for verb in ("show", "enable", "disable", "delete")},
    **{("sender", verb): ("a.example",) for verb in ("allow", "block", "remove")},
    ("alias", "add"): ("a@example.com", "b@example.com"),
    ("alias", "set"): ("a@example.com", "--may-send"),
    **{
        ("admin", verb): ("a@example.com",)
        for verb in ("show", "add", "enable", "disable", "reset", "delete")
    },
    ("admin", "set"): ("a@example.com", "--owner"),
    ("token", "create"): ("cron", "--admin", "a@example.com", "--scope", "mailbox:read"),
    ("token", "revoke"): ("4",),
    ("user", "import"): ("users.csv",),
    ("user", "export"): ("users.csv",),
    ("import", "mail"): ("a@example.com", "old.mbox"),
    ("import", "people"): ("people.csv",),
    ("import", "accounts"): ("mailcow", "dump.sql"),
    **{("queue", verb): ("4jb64t38NBzJmhw",) for verb in ("show", "retry", "hold", "release", "delete")},
}
HEAVY = (
    "cloudflare",
    "dns",
    "httpx",
    "jsonschema",
    "docker",
    "cryptography",
    "yaml",
    "rich",
    "requests",
    "dotenv",
)


def test_help_loads_nothing_heavy() -> None:
    """What keeps `mailctl --help` fast; a time would depend on the machine."""
    code = (
        "import sys; from mailctl.cli import build; from typer.testing import CliRunner;"
        "result = CliRunner().invoke(build(), ['--help']); assert result.exit_code == 0;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_takes_json_and_a_repository(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout and "--repo" in result.stdout


def test_the_version_is_the_packages(cli: Cli) -> None:
    assert cli("--version").stdout.strip() == __version__


def test_the_repository_is_found_from_a_folder_inside_it(
    repo: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "config/postfix").mkdir(parents=True)
    monkeypatch.chdir(repo / "config/postfix")
    assert cli("secrets", "init").exit_code == 0
    assert (repo / "secrets").is_dir()


def test_outside_a_repository_it_is_misuse(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("secrets", "status")
    assert result.exit_code == 2
    assert "name it with --repo" in " ".join(result.stderr.split())


def test_a_repository_can_be_named(
    repo: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("secrets", "init", "--repo", repo).exit_code == 0
    assert cli("secrets", "init", "--repo", tmp_path).exit_code == 2


def test_an_unknown_option_is_misuse(cli: Cli) -> None:
    assert cli("status", "--no-such-option").exit_code == 2


def test_a_refusal_is_json_when_json_was_asked_for(repo: Path, cli: Cli) -> None:
    (repo / ".env").unlink()
    result = cli("secrets", "init", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["fix"] == "cp .env.example .env and fill it in"


def test_what_the_system_refuses_is_told_with_its_place_and_no_traceback(repo: Path, cli: Cli) -> None:
    (repo / ".local").write_text("a file where a folder belongs")
    result = cli("local", "info", "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["value"].startswith(str(repo / ".local")) and problem["wrong"] == "File exists"


def test_off_a_terminal_nothing_is_coloured(repo: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    cli("secrets", "init")
    (repo / "secrets/valkey_password").unlink()
    result = cli("secrets", "status")
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_prints_one_document_even_where_nothing_is_set_up(
    cli: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No engine, no docker command, no account: each says so as JSON, and its exit code is one of ours."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    result = cli(*words, *ARGUMENTS.get(words, ()), "--json")
    assert result.exit_code in (0, 1, 2) and result.stdout, result.stderr
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception


def test_every_command_has_a_schema_of_its_own() -> None:
    """A row in documents.schema.json that says what the command's --json promises beyond `ok`."""
    assert {*SCHEMAS["commands"]} == {" ".join(words) for words in COMMANDS}
    assert not [name for name, schema in SCHEMAS["commands"].items() if not {"required", "oneOf"} & {*schema}]


def test_every_schema_is_one() -> None:
    for schema in (SCHEMAS["refusal"], SCHEMAS["result"], *SCHEMAS["commands"].values()):
        jsonschema.Draft202012Validator.check_schema(schema)
