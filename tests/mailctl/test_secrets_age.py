"""Secrets in git: sealed with age for the owner and the host, opened into the very same files, never half."""

import io
import json
import stat
import subprocess
from pathlib import Path

import pytest
from conftest import Cli
from hypothesis import given, settings
from hypothesis import strategies as st

from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.deploy.tree import Tree
from mailctl.secret_files import sealed
from mailctl.secret_files.rotate.run import Result
from mailctl.secret_files.store import Store
from mailctl.secret_files.table import ENTRIES

HEAD = "# Who can decrypt these.\n"


@pytest.fixture
def host(repo: Path, cli: Cli, tmp_path: Path) -> Path:
    """A repository that keeps its secrets in git, with all of them made and the owner's key beside it."""
    return prepare(repo, cli, tmp_path / "owner.key")


def prepare(repo: Path, cli: Cli, owner: Path) -> Path:
    owner.write_bytes(encryption.new_identity())
    with (repo / ".env").open("a") as env:
        env.write(f"{encryption.SETTING}={owner.read_text().split()[3]}\n")
    (repo / sealed.FOLDER).mkdir()
    (repo / sealed.FOLDER / sealed.RECIPIENTS).write_text(HEAD)
    assert cli("secrets", "init").exit_code == 0
    return repo


def context(repo: Path) -> Context:
    return Context(repo, Output(), environ={})


def folder(repo: Path) -> Path:
    return repo / sealed.FOLDER


def contents(repo: Path) -> dict[str, bytes]:
    return {entry.file: (repo / "secrets" / entry.file).read_bytes() for entry in ENTRIES}


def put(repo: Path, name: str, content: bytes) -> None:
    path = repo / "secrets" / name
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def seal_elsewhere(repo: Path, name: str, content: bytes, keys: list[str] | None = None) -> None:
    """As somebody with the recipients and `age` does it on a computer of his own."""
    recipients = keys or [
        line for line in (folder(repo) / sealed.RECIPIENTS).read_text().split("\n") if line[:1] == "a"
    ]
    with (folder(repo) / f"{name}.age").open("wb") as target:
        encryption.encrypt(io.BytesIO(content), target, recipients)


def open_here(repo: Path, **options: object) -> list[str]:
    return sealed.open_sealed(context(repo), folder(repo), **options)  # type: ignore[arg-type]


# ---- what comes back


def test_a_lost_host_comes_back_whole_from_git_and_the_owners_key(
    host: Path, cli: Cli, tmp_path: Path
) -> None:
    put(host, "relay_password", b"SG.a-key-of-the-relay\n")
    before, env = contents(host), (host / ".env").read_bytes()
    assert cli("secrets", "seal").exit_code == 0
    for path in (host / "secrets").iterdir():
        path.unlink()
    (host / "secrets").rmdir()
    (host / ".env").unlink()
    result = cli("secrets", "open", "--identity", tmp_path / "owner.key")
    assert result.exit_code == 0, result.stderr
    assert (host / ".env").read_bytes() == env
    assert cli("secrets", "init").exit_code == 0
    after = contents(host)
    dated = {"dovecot_tls.crt", "postfix_tls.crt"}  # signed again by the same authority
    assert {n: c for n, c in after.items() if n not in dated} == {
        n: c for n, c in before.items() if n not in dated
    }
    assert open_here(host) == [], "the host's own key is back as well"


@pytest.mark.parametrize("name", [*sealed.MODES])
def test_every_secret_of_the_table_is_opened_with_the_mode_that_init_gives_it(host: Path, name: str) -> None:
    sealed.seal(context(host))
    content = (host / "secrets" / name).read_bytes()
    mode = stat.S_IMODE((host / "secrets" / name).stat().st_mode)
    key = host / "host.key"
    key.write_bytes((host / "secrets" / "backup_age_identity").read_bytes())
    (host / "secrets" / name).unlink()
    assert open_here(host, key=key) == [name]
    assert (host / "secrets" / name).read_bytes() == content
    assert stat.S_IMODE((host / "secrets" / name).stat().st_mode) == mode


@settings(max_examples=60)
@given(
    content=st.one_of(st.binary(max_size=70_000), st.sampled_from([b"", b"\n", b"a\n", b"a\r\n\n", b"\x00"]))
)
def test_whatever_a_secret_holds_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    repo = tmp_path_factory.mktemp("any")
    identity = encryption.new_identity()
    (repo / "docker-compose.yml").write_text("name: a\n")
    (repo / ".env").write_text(f"{encryption.SETTING}={encryption.new_identity().split()[3].decode()}\n")
    (repo / "secrets").mkdir(mode=0o700)
    put(repo, "backup_age_identity", identity)
    put(repo, "relay_password", content)
    folder(repo).mkdir()
    (folder(repo) / sealed.RECIPIENTS).write_text(HEAD)
    sealed.seal(context(repo))
    (repo / "secrets/relay_password").unlink()
    assert open_here(repo) == ["relay_password"]
    assert (repo / "secrets/relay_password").read_bytes() == content


# ---- sealing


def test_no_secret_can_be_read_in_git(host: Path) -> None:
    put(host, "relay_password", b"hunter2hunter2")
    sealed.seal(context(host))
    texts = [path.read_bytes() for path in folder(host).iterdir()]
    hidden = [content for content in contents(host).values() if content]
    assert not [one for one in hidden if any(one in text for text in texts)]


def test_only_what_changed_is_sealed_again(host: Path) -> None:
    sealed.seal(context(host))
    before = {path.name: path.read_bytes() for path in folder(host).iterdir()}
    assert sealed.seal(context(host)) == []
    put(host, "relay_password", b"another-key")
    assert sealed.seal(context(host)) == ["relay_password"]
    after = {path.name: path.read_bytes() for path in folder(host).iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"relay_password.age"}


def test_the_file_of_recipients_names_the_owner_and_the_host_and_keeps_its_comment(host: Path) -> None:
    sealed.seal(context(host))
    text = (folder(host) / sealed.RECIPIENTS).read_text()
    assert text == HEAD + "".join(f"{key}\n" for key in encryption.recipients(context(host)))


def test_a_key_that_somebody_wrote_into_git_reads_nothing(host: Path, tmp_path: Path) -> None:
    sealed.seal(context(host))
    stranger = tmp_path / "stranger.key"
    stranger.write_bytes(encryption.new_identity())
    with (folder(host) / sealed.RECIPIENTS).open("a") as file:
        file.write(f"{stranger.read_text().split()[3]}\n")
    assert sealed.RECIPIENTS in sealed.differing(context(host))
    assert len(sealed.seal(context(host))) > 20, "all of it, and not to the stranger"
    with pytest.raises(Refused, match="cannot be decrypted"):
        open_here(host, key=stranger)
    assert stranger.read_text().split()[3] not in (folder(host) / sealed.RECIPIENTS).read_text()


def test_a_second_key_of_the_owner_opens_everything_once_it_is_sealed_again(
    host: Path, tmp_path: Path
) -> None:
    sealed.seal(context(host))
    second = tmp_path / "second.key"
    second.write_bytes(encryption.new_identity())
    env = (host / ".env").read_text().rstrip()
    (host / ".env").write_text(f"{env},{second.read_text().split()[3]}\n")
    sealed.seal(context(host))
    assert open_here(host, key=second) == []


def test_without_an_owners_key_nothing_is_sealed(repo: Path, cli: Cli, tmp_path: Path) -> None:
    prepare(repo, cli, tmp_path / "owner.key")
    (repo / ".env").write_bytes((repo / ".env.example").read_bytes())
    result = cli("secrets", "seal")
    assert result.exit_code == 1 and "make backup-key" in " ".join(result.stderr.split())
    assert [path.name for path in folder(repo).iterdir()] == [sealed.RECIPIENTS]


def test_where_secrets_are_not_kept_in_git_it_says_how_to_begin(host: Path, cli: Cli) -> None:
    (folder(host) / sealed.RECIPIENTS).unlink()
    result = cli("secrets", "seal")
    assert result.exit_code == 1 and "make update ANSWER=secrets=age" in " ".join(result.stderr.split())


# ---- which one is newer


def test_a_new_value_from_git_is_opened(host: Path) -> None:
    sealed.seal(context(host))
    seal_elsewhere(host, "relay_password", b"SG.new")
    assert sealed.differing(context(host)) == {"relay_password": sealed.GIT}
    assert open_here(host) == ["relay_password"]
    assert (host / "secrets/relay_password").read_bytes() == b"SG.new"
    assert open_here(host) == [] and sealed.differing(context(host)) == {}


def test_a_value_of_before_is_never_opened_over_the_one_that_replaced_it(host: Path) -> None:
    """A commit of before a rotation, or a roll-back: the database and the relay know the new one only."""
    put(host, "relay_password", b"the-old-one")
    sealed.seal(context(host))
    put(host, "relay_password", b"the-new-one")
    assert sealed.differing(context(host)) == {"relay_password": sealed.HOST}
    assert open_here(host) == []
    sealed.seal(context(host))
    seal_elsewhere(host, "relay_password", b"the-old-one")
    assert open_here(host) == []
    assert (host / "secrets/relay_password").read_bytes() == b"the-new-one"
    assert open_here(host, force=True) == ["relay_password"]


def test_what_was_changed_here_and_in_git_is_refused_both_ways_and_named(host: Path, cli: Cli) -> None:
    sealed.seal(context(host))
    put(host, "relay_password", b"changed-here")
    put(host, "alarm_urls", b"")
    seal_elsewhere(host, "relay_password", b"changed-in-git")
    seal_elsewhere(host, "alarm_urls", b"ntfys://ntfy.sh/new")
    for words in (("seal",), ("open",)):
        result = cli("secrets", *words)
        assert result.exit_code == 1 and "relay_password" in result.stderr
        assert (host / "secrets/relay_password").read_bytes() == b"changed-here"
        assert (host / "secrets/alarm_urls").read_bytes() == b"", "all or nothing"
    assert open_here(host, force=True) == ["relay_password", "alarm_urls"]
    assert (host / "secrets/relay_password").read_bytes() == b"changed-in-git"


def test_a_password_that_the_database_does_not_know_is_refused(host: Path) -> None:
    sealed.seal(context(host))
    seal_elsewhere(host, "postfix_db_password", b"a-password-from-git")
    with pytest.raises(Refused, match="the database knows") as refusal:
        open_here(host)
    assert "secrets rotate postfix_db_password" in refusal.value.problems[0].fix


def test_one_secret_alone_can_be_taken_from_git(host: Path, cli: Cli) -> None:
    """After a restore: the database has the passwords of the snapshot, the relay the key of git."""
    sealed.seal(context(host))
    for name in ("relay_password", "postfix_db_password"):
        seal_elsewhere(host, name, b"of-git")
    assert cli("secrets", "open", "relay_password", "--force").exit_code == 0
    assert (host / "secrets/relay_password").read_bytes() == b"of-git"
    assert (host / "secrets/postfix_db_password").read_bytes() != b"of-git"


def test_the_settings_somebody_wrote_here_are_never_replaced(host: Path) -> None:
    sealed.seal(context(host))
    with (host / ".env").open("a") as env:
        env.write("LAN_ADDRESS=192.0.2.1\n")
    assert open_here(host) == []
    assert sealed.differing(context(host)) == {sealed.ENV: sealed.HOST}


def test_settings_that_are_still_as_their_example_are_replaced(host: Path, tmp_path: Path) -> None:
    env = (host / ".env").read_bytes()
    sealed.seal(context(host))
    (host / ".env").write_bytes((host / ".env.example").read_bytes())
    assert open_here(host, key=tmp_path / "owner.key") == [sealed.ENV]
    assert (host / ".env").read_bytes() == env
    assert stat.S_IMODE((host / ".env").stat().st_mode) == 0o600


def test_settings_that_were_edited_too_early_can_be_taken_from_git(host: Path, cli: Cli) -> None:
    env = (host / ".env").read_bytes()
    sealed.seal(context(host))
    (host / ".env").write_bytes(env + b"SSD_PATH=/somewhere\n")
    assert cli("secrets", "open", "env", "--force").exit_code == 0
    assert (host / ".env").read_bytes() == env


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
