"""`mailctl search rebuild`: whose indexes are built again, and nobody's by mistake."""

import json

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container


@pytest.fixture
def dovecot(engine: FakeEngine, docker: FakeDocker) -> FakeDocker:
    engine.containers = [container("dovecot")]
    docker.answer("*", "bob@example.org\nanna@example.org\n")
    return docker


def indexed(docker: FakeDocker) -> list[str]:
    """What was removed or indexed, and of whom, in order."""
    words = [" ".join(call["arguments"]) for call in docker.calls]
    return [each.partition("doveadm ")[2] for each in words if "-u" in each]


def test_everybody_is_indexed_one_after_another(cli: Cli, dovecot: FakeDocker) -> None:
    shown = cli("search", "rebuild", "--all", "--json")
    assert json.loads(shown.stdout)["rebuilt"] == ["anna@example.org", "bob@example.org"]
    assert indexed(dovecot) == [
        f"{words} -u {who}@example.org *"
        for who in ("anna", "bob")
        for words in ("fts flatcurve remove", "index")
    ]


def test_an_address_without_a_mailbox_is_refused_before_anything_is_removed(
    cli: Cli, dovecot: FakeDocker
) -> None:
    shown = cli("search", "rebuild", "anna@example.org", "nobody@example.org")
    assert shown.exit_code == 1 and "nobody@example.org wrong has no mailbox here" in " ".join(
        shown.output.split()
    )
    assert indexed(dovecot) == []


@pytest.mark.parametrize("words", [(), ("--all", "anna@example.org")], ids=["nobody-named", "both"])
def test_people_are_named_or_all_are_meant(cli: Cli, dovecot: FakeDocker, words: tuple[str, ...]) -> None:
    shown = cli("search", "rebuild", *words)
    assert shown.exit_code == 2 and "name people, or use --all" in " ".join(shown.output.split())
