"""What is encrypted can be read by the owner's key and by the host's own, and by nobody else."""

import io
from pathlib import Path

import pytest

from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output


@pytest.fixture
def owner(tmp_path: Path) -> Path:
    path = tmp_path / "owner.key"
    path.write_bytes(encryption.new_identity())
    return path


@pytest.fixture
def prepared(repo: Path, owner: Path) -> Context:
    """A repository whose .env names the owner's key, with a key of the host's own."""
    context = Context(repo, Output(), environ={})
    public = encryption.public(encryption.identities(context, owner)[0])
    with (repo / ".env").open("a") as file:
        file.write(f"{encryption.SETTING}={public}\n")
    (repo / "secrets").mkdir()
    encryption.host_identity(context).write_bytes(encryption.new_identity())
    return context


def encrypted(context: Context, content: bytes) -> io.BytesIO:
    target = io.BytesIO()
    encryption.encrypt(io.BytesIO(content), target, encryption.recipients(context))
    return io.BytesIO(target.getvalue())


def test_owner_and_host_can_both_decrypt_and_the_content_is_nowhere_in_it(
    prepared: Context, owner: Path
) -> None:
    content = b"RELAY_PASSWORD=hunter2 " * 10_000
    sealed = encrypted(prepared, content)
    assert b"hunter2" not in sealed.getvalue()
    for file in (owner, None):
        sealed.seek(0)
        opened = io.BytesIO()
        encryption.decrypt(sealed, opened, encryption.identities(prepared, file))
        assert opened.getvalue() == content


def test_another_key_and_a_changed_byte_are_refused(prepared: Context, tmp_path: Path) -> None:
    (tmp_path / "other.key").write_bytes(encryption.new_identity())
    stranger = encryption.identities(prepared, tmp_path / "other.key")
    with pytest.raises(Refused, match="cannot be decrypted"):
        encryption.decrypt(encrypted(prepared, b"secret"), io.BytesIO(), stranger)
    damaged = bytearray(encrypted(prepared, b"secret").getvalue())
    damaged[-1] ^= 1
    with pytest.raises(Refused, match="cannot be decrypted"):
        encryption.decrypt(io.BytesIO(damaged), io.BytesIO(), encryption.identities(prepared))


def test_without_an_owners_key_nothing_is_encrypted(repo: Path) -> None:
    with pytest.raises(Refused, match="nobody could read") as refusal:
        encryption.recipients(Context(repo, Output(), environ={}))
    assert "make backup-key" in refusal.value.problems[0].fix


def test_a_wrong_key_is_named_and_a_secret_one_is_not_shown(prepared: Context, tmp_path: Path) -> None:
    prepared.environ = {encryption.SETTING: "age1wrong"}
    with pytest.raises(Refused, match="not an age public key"):
        encryption.recipients(prepared)
    damaged = tmp_path / "damaged.key"
    damaged.write_text("AGE-SECRET-KEY-1HUNTER2\n")
    with pytest.raises(Refused, match="damaged secret key") as refusal:
        encryption.identities(prepared, damaged)
    assert "HUNTER2" not in str(refusal.value.problems[0].as_dict())
    with pytest.raises(Refused, match="No such file"):
        encryption.identities(prepared, tmp_path / "missing")
    damaged.write_text("nothing here\n")
    with pytest.raises(Refused, match="holds no line"):
        encryption.identities(prepared, damaged)
