"""What the agent carries out on the whole server: holding on every host, migrations, canaries, ways back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.stack.stack import run
from tests.swarm.conftest import PREFIX
from tests.swarm.crowd import busy
from tests.swarm.engines import SSD
from tests.swarm.server import Server, exactly_once, running

pytestmark = pytest.mark.series("SWARM")
GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com")
MAIN, MIGRATIONS = "config/postfix/main.cf", "platform/usermgmt/migrations/versions"
INBOUND = "smtpd_recipient_restrictions =\n  "
COLUMN = 'op.add_column("domains", sa.Column("{}", sa.Integer(), nullable=True))'
MIGRATION = '''"""A column, and whatever the test adds to it."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """Add it."""
    {body}


def downgrade() -> None:
    """Never asked for."""
'''
TABLES = """SELECT CONCAT('revision ', version_num) FROM mailserver.alembic_version;
SELECT column_name FROM information_schema.columns
 WHERE table_schema = 'mailserver' AND table_name = 'domains';"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server in a git repository."""
    with running(f"{PREFIX}-agent", tmp_path_factory.mktemp("agent")) as found:
        with (found.repo / ".env").open("a") as file:
            file.write("CANARY_SECONDS=30\n")
        run(*GIT, "init", "-q", cwd=found.repo)
        commit(found, "the server")
        yield found


def commit(server: Server, word: str) -> str:
    run(*GIT, "add", "--all", cwd=server.repo)
    run(*GIT, "commit", "-q", "-m", word, cwd=server.repo)
    return run(*GIT, "rev-parse", "HEAD", cwd=server.repo).strip()


def migrated(server: Server, body: str, tag: str) -> str:
    """A commit with one more migration, whose image is built here: the hosts reach no packages."""
    before = max(each.name[:4] for each in (server.repo / MIGRATIONS).glob("0*.py"))
    revision = f"{int(before) + 1:04}"
    text = MIGRATION.format(revision=revision, before=before, body=body)
    (server.repo / MIGRATIONS / f"{revision}_{tag}.py").write_text(text)
    hosts = (server.repo / "hosts.yml").read_text()
    now = re.findall(rf"image: ({server.repo.name}-usermgmt\S*)", hosts)[0]
    image = f"{server.repo.name}-usermgmt:{tag}"
    (server.repo / "hosts.yml").write_text(hosts.replace(f"image: {now}\n", f"image: {image}\n"))
    lines = f"FROM {now}\nCOPY {revision}_{tag}.py /opt/app/migrations/versions/\n"
    (server.repo.parent / "next.Dockerfile").write_text(lines)
    words = ("--quiet", "--tag", image, "--file", str(server.repo.parent / "next.Dockerfile"), MIGRATIONS)
    run("docker", "build", *words, cwd=server.repo)
    server.engines.load([image], server.hosts[0])
    return commit(server, tag)


def tables(server: Server) -> set[str]:
    """The revision, and the columns of the domains."""
    client = "mariadb --skip-column-names -uroot -p$(cat /run/secrets/mariadb_root_password)"
    return set(server.inside(server.hosts[0], "mariadb-1", "sh", "-c", client, stdin=TABLES).split("\n"))


def left(server: Server) -> list[str]:
    """What a deployment must not leave: mail on hold on a host, a turn that somebody has."""
    first = server.hosts[0]
    holding = [host.name for host in server.hosts if host.shell(f"find {SSD}/hold -type f")]
    names = first.docker("config", "ls", "--format", "{{.Name}}").split()
    return [*holding, *(name for name in names if name.endswith((".deployment", ".holding")))]


def test_the_first_commit_is_deployed_and_only_what_it_changes_is_recreated(server: Server) -> None:
    server.edit(MAIN, "compatibility_level", "# A change.\ncompatibility_level")
    document = server.mailctl(server.hosts[0], "agent", "carry-out", commit(server, "a change"))
    assert document["result"] == "deployed", document
    assert document["recreated"] == document["held"]["services"] == ["postfix"], document


def test_a_migration_and_a_new_image_are_deployed_while_mail_waits_and_none_is_lost(server: Server) -> None:
    crowd = server.crowd()
    commits = migrated(server, COLUMN.format("tried"), "good")
    with busy(crowd, {}):
        document = server.mailctl(server.hosts[0], "agent", "carry-out", commits)
    assert document["result"] == "deployed" and document["recreated"] == ["mover", "usermgmt"], document
    assert "migrates the accounts' tables" in document["held"]["why"], document["held"]
    assert "not held" not in document["held"]["why"] and left(server) == []
    assert len(document["canaries"]) > 15 and all(each["ok"] for each in document["canaries"])
    assert "tried" in tables(server)
    assert crowd.promised and crowd.submitted
    exactly_once(server, crowd)


def test_a_commit_that_refuses_all_mail_is_taken_back_and_every_host_takes_mail_again(server: Server) -> None:
    server.edit(MAIN, INBOUND, f"{INBOUND}reject,\n  ")
    bad = commit(server, "bad")
    document = server.mailctl(server.hosts[0], "agent", "carry-out", bad, ok=False)
    server.edit(MAIN, f"{INBOUND}reject,\n  ", INBOUND)
    commit(server, "mended")
    assert document["result"] == "rolled-back" and document["culprit"] == "postfix", document
    assert "canary mail" in document["reason"], document
    assert left(server) == [] and server.whole(server.hosts[0])
    last = server.mailctl(server.hosts[1], "history")["deployments"][0]
    assert (last["ref"], last["result"]) == (bad, "rolled-back"), "every manager knows it"
    crowd = server.crowd()
    assert crowd.post(f"after {crowd.name}", crowd.people[0])
    exactly_once(server, crowd)


def test_a_migration_that_breaks_off_half_way_leaves_the_tables_as_they_were(server: Server) -> None:
    before = tables(server)
    body = "\n    ".join((COLUMN.format("half"), 'op.execute("SELECT 1 FROM nowhere")'))
    document = server.mailctl(server.hosts[0], "agent", "carry-out", migrated(server, body, "ill"), ok=False)
    run(*GIT, "revert", "--no-edit", "HEAD", cwd=server.repo)
    assert document["result"] == "rolled-back" and "the migration broke off" in document["reason"], document
    assert tables(server) == before and left(server) == []
    assert all(each["ok"] for each in document["canaries"]), "the old version works on them"


def test_a_deployment_by_hand_migrates_before_the_services_change_or_not_at_all(server: Server) -> None:
    first, before, crowd = server.hosts[0], tables(server), server.crowd()
    image = server.services(first)["usermgmt"]["image"]
    body = "\n    ".join((COLUMN.format("torn"), 'op.execute("SELECT 1 FROM nowhere")'))
    migrated(server, body, "torn")
    refused = server.mailctl(first, "swarm", "deploy", ok=False)
    run(*GIT, "revert", "--no-edit", "HEAD", cwd=server.repo)
    assert "the migration broke off" in refused["problems"][0]["wrong"], refused
    assert tables(server) == before and server.services(first)["usermgmt"]["image"] == image
    migrated(server, COLUMN.format("by_hand"), "hand")
    with busy(crowd, {}):
        server.mailctl(first, "swarm", "deploy")
    assert "by_hand" in tables(server) and "torn" not in tables(server)
    assert server.services(first)["usermgmt"]["image"] != image and left(server) == []
    assert len(first.shell(f"ls {SSD}/.mailctl/deploy/dumps").split()) >= 2, "a copy before each"
    assert crowd.promised and crowd.submitted
    exactly_once(server, crowd)
