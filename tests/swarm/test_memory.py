"""Three members of Valkey: one is killed, the sentinels choose another, rspamd goes on (make soak)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.swarm.founded import founded
from tests.swarm.impostors import OTHER_AUTHORITY, OTHER_NAME, OUR_OWN, impostor
from tests.swarm.members import Database, docker, eventually

pytestmark = [
    pytest.mark.docker,
    pytest.mark.series("SWARM_DATABASE"),
]
MEMBERS = ("valkey-1", "valkey-2", "valkey-3")
MAIL = (
    "From: a@example.net\nTo: b@example.com\nSubject: Offer {n}\nMessage-ID: <{n}@example.net>\n\n{words}\n"
)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The members, their sentinels, the proxies and rspamd, without what rspamd needs besides."""
    parts, environment = ("valkey", "sentinel", "memory", "rspamd"), {"RSPAMD_NEEDS": "valkey"}
    with founded(tmp_path_factory.mktemp("memory"), "memory", parts, environment) as whole:
        yield whole


def ask(memory: Database, where: str, *words: str, port: str = "6379") -> str:
    """What a member, or whoever the name leads to, answers; "" when it does not."""
    script = (
        "REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /run/secrets/valkey_auth) timeout 5 valkey-cli --tls"
        ' --cacert /run/secrets/internal_ca_crt -h "$@" 2>&1'
    )
    for inside in MEMBERS:
        if memory.running(inside):
            words = (where, "-p", port, *words)
            return docker(
                "exec", memory.container(inside), "sh", "-c", script, "sh", *words, check=False
            ).strip()
    return ""


def writers(memory: Database) -> list[str]:
    """The members that say that they write."""
    return [m for m in MEMBERS if memory.running(m) and ask(memory, m, "role").startswith("master")]


def stored(memory: Database, door: int, name: str) -> bool:
    """Whether a value can be stored by one of the proxies."""
    address = memory.address("memory", door, "memory")
    return ask(memory, address, "set", name, "kept") == "OK"


def test_the_one_that_writes_is_killed_and_another_one_takes_over_with_what_was_stored(
    memory: Database,
) -> None:
    eventually(lambda: stored(memory, 1, "first") and stored(memory, 2, "second"), "a member that writes")
    [killed] = writers(memory)
    eventually(lambda: ask(memory, killed, "wait", "2", "1000") == "2", "both copies")
    memory.kill(killed)
    eventually(
        lambda: stored(memory, 1, "third") and stored(memory, 2, "fourth"), "another one that writes", 30
    )
    memory.again(killed)
    eventually(lambda: ask(memory, killed, "role").startswith("slave"), "that it only copies now", 30)
    [writer] = writers(memory)
    assert writer != killed
    values = [ask(memory, writer, "get", name) for name in ("first", "second", "third", "fourth")]
    assert values == ["kept"] * 4
    for member in MEMBERS:
        eventually(lambda member=member: ask(memory, member, "get", "first") == "kept", "it everywhere", 30)


def test_rspamd_learns_by_the_name_and_without_a_password_nobody_reads(memory: Database) -> None:
    eventually(lambda: memory.healthy("rspamd"), "rspamd", 90)
    learn = 'rspamc -h 127.0.0.1:11334 -P "$(cat /run/secrets/rspamd_controller_password)" learn_spam'
    for number in range(3):
        mail = MAIL.format(n=number, words=" ".join(f"word{number}x{n}" for n in range(40)))
        # It is refused until another member copies.
        eventually(
            lambda mail=mail: "success = true" in memory.feed("rspamd", mail, "sh", "-c", learn), "learning"
        )
    [writer] = writers(memory)
    assert int(ask(memory, writer, "dbsize")) > 10
    refused = docker(
        "exec",
        memory.container(writer),
        "valkey-cli",
        "--tls",
        "--cacert",
        "/run/secrets/internal_ca_crt",
        "--user",
        "check",
        "--pass",
        "check",
        "keys",
        "*",
        check=False,
    )
    assert "NOPERM" in refused


@pytest.mark.parametrize("shown", [OUR_OWN, OTHER_NAME, OTHER_AUTHORITY])
def test_an_impostor_under_the_name_valkey_is_told_nothing(memory: Database, shown: str) -> None:
    words = ("--port 0", "--tls-port 6379", "--tls-cert-file /impostor/crt", "--tls-key-file /impostor/key")
    words += (
        "--tls-ca-cert-file /run/secrets/internal_ca_crt",
        "--tls-auth-clients no",
        "--loglevel verbose",
    )
    command = ["valkey-server", "/run/secrets/valkey_auth", *" ".join(words).split()]
    with impostor(memory, MEMBERS[0], "memory", ("scan",), shown, command) as container:
        # rspamd looks the name up again, and asks it for the keys that it shares.
        if shown == OTHER_AUTHORITY:
            eventually(lambda: "alert unknown ca" in docker("logs", container), "that rspamd refuses it", 60)
            assert kept(memory, container) == 0
        else:
            # Of the authority's own certificates it takes any: nobody else in its network has one.
            eventually(lambda: kept(memory, container), "rspamd's keys", 60)


def kept(memory: Database, container: str) -> int:
    """How many keys the impostor was given."""
    own = memory.address("impostor", 1, "scan")
    script = (
        "REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /run/secrets/valkey_auth) valkey-cli --tls --insecure"
        ' --cacert /impostor/crt -h "$1" dbsize'
    )
    said = docker("exec", container, "sh", "-c", script, "sh", own, check=False).strip()
    return int(said) if said.isdigit() else 0
