"""Secrets in git when something is wrong: a file, a kill, a commit that is taken back; and what is told."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import Cli
from sealing import contents, context, folder, open_here, put, seal_elsewhere
from sealing import host as host  # a fixture

from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.deploy.tree import Tree
from mailctl.secret_files import sealed
from mailctl.secret_files.rotate.run import Result
from mailctl.secret_files.store import Store

# ---- what is wrong with a file


def test_another_key_opens_nothing_and_changes_nothing(host: Path, tmp_path: Path) -> None:
    sealed.seal(context(host))
    before = contents(host)
    (tmp_path / "other.key").write_bytes(encryption.new_identity())
    (host / "secrets/relay_password").unlink()
    with pytest.raises(Refused, match="cannot be decrypted with this key"):
        open_here(host, key=tmp_path / "other.key")
    assert not (host / "secrets/relay_password").exists()
    put(host, "relay_password", before["relay_password"])
    assert contents(host) == before


@pytest.mark.parametrize("kept", [0, 10, -1], ids=["empty", "in its head", "without its last byte"])
def test_a_truncated_file_is_named_and_none_is_opened(host: Path, kept: int) -> None:
    sealed.seal(context(host))
    seal_elsewhere(host, "alarm_urls", b"ntfys://ntfy.sh/new")
    path = folder(host) / "relay_password.age"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Refused, match=r"secrets\.age/relay_password\.age: cannot be decrypted"):
        open_here(host)
    assert (host / "secrets/alarm_urls").read_bytes() == b""


def test_sealing_does_not_replace_what_this_host_cannot_read_unless_forced(host: Path) -> None:
    sealed.seal(context(host))
    stranger = encryption.new_identity().split()[3].decode()
    seal_elsewhere(host, "relay_password", b"for-another-host", [stranger])
    with pytest.raises(Refused, match=sealed.LOCKED):
        sealed.seal(context(host))
    assert sealed.seal(context(host), force=True) == ["relay_password"]


def test_a_file_that_is_no_secret_of_this_version_is_refused(host: Path) -> None:
    sealed.seal(context(host))
    seal_elsewhere(host, "relay_pasword", b"a-typing-error")
    with pytest.raises(Refused, match="no secret of this version"):
        open_here(host)


def test_a_host_without_its_key_is_told_to_take_the_owners(host: Path, cli: Cli) -> None:
    sealed.seal(context(host))
    (host / "secrets/backup_age_identity").unlink()
    result = cli("secrets", "open")
    assert result.exit_code == 1 and "--identity FILE" in " ".join(result.stderr.split())


# ---- a kill in the middle, and a deployment that is taken back


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real, done = Store.write, []

    def write(self: Store, name: str, content: bytes, mode: int) -> None:
        if len(done) == number:
            raise Killed
        done.append(name)
        real(self, name, content, mode)

    monkeypatch.setattr(Store, "write", write)


@pytest.mark.parametrize("number", range(4))
def test_a_kill_between_two_files_leaves_whole_files_and_the_next_run_ends_it(
    host: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sealed.seal(context(host))
    before = contents(host)
    new = {name: f"new-{name}".encode() for name in ("relay_password", "cloudflared_token", "alarm_urls")}
    for name, content in new.items():
        seal_elsewhere(host, name, content)
    with monkeypatch.context() as patch:
        kill_at(patch, number)
        with pytest.raises(Killed):
            open_here(host)
    assert all((host / "secrets" / n).read_bytes() in (before[n], new[n]) for n in new)
    open_here(host)
    assert {name: (host / "secrets" / name).read_bytes() for name in new} == new


def test_a_kill_while_sealing_to_new_keys_leaves_all_to_be_sealed_again(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            sealed.seal(context(host))
    assert len(sealed.seal(context(host))) > 20
    assert sealed.differing(context(host)) == {}


@pytest.mark.parametrize("number", [None, 1, 2, 3])
def test_a_deployment_that_is_taken_back_leaves_the_secrets_of_before(
    host: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    sealed.seal(context(host))
    (host / "secrets/cloudflared_token").unlink()
    before = {path.name: path.read_bytes() for path in (host / "secrets").iterdir()}
    seal_elsewhere(host, "relay_password", b"a-bad-key")
    seal_elsewhere(host, "cloudflared_token", b"a-token")
    if number is None:
        assert len(open_here(host, deployment="1")) == 2
    else:
        with monkeypatch.context() as patch:
            kill_at(patch, number)
            with pytest.raises(Killed):
                open_here(host, deployment="1")
    assert sealed.take_back(context(host), "2") == [], "another deployment's are not touched"
    assert sealed.take_back(context(host), "1") == ["relay_password", "cloudflared_token"]
    assert {path.name: path.read_bytes() for path in (host / "secrets").iterdir()} == before
    assert open_here(host, deployment="3") == ["relay_password", "cloudflared_token"], "a good commit later"


def test_a_deployment_without_sealed_secrets_touches_nothing(host: Path) -> None:
    before = sorted(path.name for path in (host / "secrets").iterdir())
    assert open_here(host, deployment="1") == []
    assert sealed.open_sealed(context(host), host / "no-such-folder", deployment="1") == []
    assert sorted(path.name for path in (host / "secrets").iterdir()) == before


# ---- what is told


def test_init_says_to_seal_what_it_made(host: Path, cli: Cli) -> None:
    (host / "secrets/valkey_password").unlink()
    assert "secrets seal, then commit secrets.age/" in " ".join(cli("secrets", "init").stdout.split())


def test_a_rotation_seals_the_new_value(host: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def rotated(_context: Context, name: str, *_: object) -> Result:
        put(host, name, b"rotated")
        return Result(name)

    sealed.seal(context(host))
    monkeypatch.setattr("mailctl.secret_files.rotate.run.rotate", rotated)
    said = " ".join(cli("secrets", "rotate", "relay_password").stdout.split())
    assert "relay_password; commit secrets.age/" in said
    assert sealed.differing(context(host)) == {}
    seal_elsewhere(host, "relay_password", b"")
    assert open_here(host) == [], "a commit of before does not bring the old one back"


def test_a_rotation_goes_on_where_sealing_cannot(host: Path) -> None:
    (host / "secrets/backup_age_identity").unlink()
    assert sealed.seal_again(context(host)).startswith("not done: age key")


def test_what_was_sealed_here_stops_no_deployment_and_other_edits_do(host: Path) -> None:
    git = ["git", "-C", str(host), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (
        ["init", "--quiet"],
        ["add", "secrets.age", "answers.yml"],
        ["commit", "--quiet", "-mfirst"],
    ):
        subprocess.run([*git, *words], check=True)
    sealed.seal(context(host))
    tree = Tree(host, host / "stage")
    tree.refuse_edits()
    assert f"secrets.age/{sealed.RECIPIENTS}" in tree.edited(), "and status tells of it"
    (host / "answers.yml").write_text("by hand")
    with pytest.raises(Refused, match="answers"):
        tree.refuse_edits()


def test_no_command_shows_a_secret(host: Path, cli: Cli) -> None:
    put(host, "relay_password", b"hunter2hunter2")
    results = [
        cli("secrets", *words) for words in (("seal",), ("open",), ("seal", "--json"), ("open", "--json"))
    ]
    assert "hunter2" not in "".join(one.stdout + one.stderr for one in results)
    assert json.loads(results[2].stdout) == {"ok": True, "sealed": []}
