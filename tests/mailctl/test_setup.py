"""`mailctl setup`: .env, folders and secrets before the first start; safe to repeat, clear when it cannot."""

import json
import stat
from pathlib import Path

import pytest
from conftest import ENV, Cli


@pytest.fixture
def disks(repo: Path, tmp_path: Path) -> Path:
    """The repository's settings name two folders that are not there yet."""
    text = f"{ENV}SSD_PATH={tmp_path}/fast\nHDD_PATH={tmp_path}/large\n"
    (repo / ".env").write_text(text)
    (repo / ".env.example").write_text(text)
    return tmp_path


def test_it_makes_the_folders_of_the_first_deploy(cli: Cli, disks: Path) -> None:
    assert cli("setup").exit_code == 0
    assert (disks / "fast" / "mariadb").is_dir()
    assert {path.name for path in (disks / "large").iterdir()} == {"mailboxes", "daily", "weekly"}


def test_it_makes_the_secrets_and_says_how_to_start(cli: Cli, disks: Path, repo: Path) -> None:
    result = cli("setup")
    assert (repo / "secrets" / "mariadb_root_password").is_file()
    assert "make deploy" in result.stdout
    (repo / "nodes.yml").write_text("nodes: [{name: mail1, shard: a}]\n")
    assert "docs/several-hosts.md brings the hosts together" in " ".join(cli("setup").stdout.split())


def test_a_missing_env_file_is_made_from_the_example_and_closed(cli: Cli, disks: Path, repo: Path) -> None:
    (repo / ".env").unlink()
    result = cli("setup")
    assert result.exit_code == 0, result.stderr
    assert (repo / ".env").read_text() == (repo / ".env.example").read_text()
    assert stat.S_IMODE((repo / ".env").stat().st_mode) == 0o600


def test_an_existing_env_file_is_not_touched(cli: Cli, disks: Path, repo: Path) -> None:
    text = (repo / ".env").read_text() + "TZ=Asia/Tokyo\n"
    (repo / ".env").write_text(text)
    cli("setup")
    assert (repo / ".env").read_text() == text


def test_a_second_run_changes_nothing(cli: Cli, disks: Path, repo: Path) -> None:
    cli("setup")
    before = {path: path.read_bytes() for path in (repo / "secrets").iterdir()}
    result = cli("setup", "--json")
    assert json.loads(result.stdout)["folders"] == []
    assert {path: path.read_bytes() for path in (repo / "secrets").iterdir()} == before


@pytest.mark.parametrize("setting", ["SSD_PATH", "HDD_PATH"])
def test_a_setting_that_is_missing_is_named(cli: Cli, disks: Path, repo: Path, setting: str) -> None:
    lines = [ln for ln in (repo / ".env").read_text().splitlines() if not ln.startswith(setting)]
    (repo / ".env").write_text("\n".join(lines) + "\n")
    result = cli("setup")
    assert result.exit_code == 1
    assert setting in result.stderr and ".env.example" in result.stderr


def test_a_folder_that_cannot_be_made_is_refused_with_the_command_that_helps(
    cli: Cli, disks: Path, repo: Path
) -> None:
    (disks / "large").write_text("a file in the way")
    result = cli("setup")
    assert result.exit_code == 1
    assert "HDD_PATH" in result.stderr and "sudo mkdir" in result.stderr
    assert not (repo / "secrets").exists()


def test_without_env_and_example_it_says_so(cli: Cli, repo: Path) -> None:
    (repo / ".env").unlink()
    (repo / ".env.example").unlink()
    result = cli("setup")
    assert result.exit_code == 1
    assert ".env.example" in result.stderr
