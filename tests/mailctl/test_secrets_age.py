"""Secrets in git: sealed with age for the owner and the host, opened into the very same files."""

import stat
from pathlib import Path

import pytest
from conftest import Cli
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import HEAD, contents, context, folder, open_here, prepare, put, seal_elsewhere
from sealing import host as host  # a fixture

from mailctl.core import encryption
from mailctl.core.errors import Refused
from mailctl.secret_files import sealed

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
    # Signed again by the same authority: git has its key, and that of each service.
    dated = {name for name in before if name.endswith(("_tls.crt", "_tls.pem"))}
    assert {n: c for n, c in after.items() if n not in dated} == {
        n: c for n, c in before.items() if n not in dated
    }
    assert open_here(host) == [], "the host's own key is back as well"


@pytest.mark.parametrize("name", [*sealed.MODES])
def test_every_secret_of_the_table_is_opened_with_the_mode_that_init_gives_it(
    host: Path, cli: Cli, name: str
) -> None:
    (host / "nodes.yml").touch()
    cli("secrets", "init")
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
