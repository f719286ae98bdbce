"""A host that keeps its secrets in git, and what the tests do to it."""

import io
from pathlib import Path

import pytest
from conftest import Cli

from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.secret_files import sealed
from mailctl.secret_files.table import used

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
    return {entry.file: (repo / "secrets" / entry.file).read_bytes() for entry in used(several=False).entries}


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
