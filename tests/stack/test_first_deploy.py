"""From nothing to the first mail as the guide says it, a configuration change and its rollback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import dkim
import dns.resolver
import pytest
import yaml
from cookiecutter.main import cookiecutter

from tests.stack.conftest import PREFIX, TEMPLATE
from tests.stack.documents import DKIM, HOW, OF_THE_HOST, OF_THE_TARGET, OF_THE_WORKFLOWS, blocks, tasks
from tests.stack.mails import crlf
from tests.stack.stack import eventually, run
from tools import standins

PROJECT = "first-deploy" if PREFIX == "stack" else f"{PREFIX}-first-deploy"
# The answers for its disks, in whose place the tests put folders of their own.
DISKS = {"ssd": f"/srv/{PROJECT}/ssd", "hdd": f"/mnt/backup-hdd/{PROJECT}"}
# What an operator writes into .env, under the names of the document's section 6.1.
SECRETS = {
    "MYSQL_ROOT_PASSWORD": "root-Of-all-9fK2xQ7w",
    "MYSQL_PASSWORD": "owner-Of-tables-4hT8zL",
    "USERMGMT_DB_PASSWORD": "usermgmt-Writes-7pV3mN",
    "SENDGRID_API_KEY": "SG.relay-Key-5sD1bGjR6yU",
    "MAILSERVER_API_TOKEN": "token-Of-the-edge-8cE0nXaW2vZqYtRk",
}

# The call of the edge, made from inside, since nothing is published on this host.
POST = """import urllib.request as u
body = b'From: a@b.example\\r\\nSubject: first mail\\r\\nMessage-ID: <1@b.example>\\r\\n\\r\\nhello\\r\\n'
headers = {{'Authorization': 'Bearer {token}', 'X-Envelope-From': 'a@b.example'}}
headers['X-Envelope-To'] = 'me@example.com'
print(u.urlopen(u.Request('http://127.0.0.1:8000/v1/messages', body, headers), timeout=30).status)"""


class Deployment:
    """A generated repository on its host; `shell` runs a line of the document in it."""

    def __init__(self, repository: Path, override: Path | None) -> None:
        self.repository, self.said = repository, dict[str, str]()
        stack = yaml.safe_load((override or repository / "docker-compose.yml").read_text())
        tunnel = tunnel_in_place(repository.parent, stack["services"]["valkey"]["image"])
        files = [repository / "docker-compose.yml", *([override] if override else []), tunnel]
        self.env = {"COMPOSE_FILE": os.pathsep.join(map(str, files))}
        self.caught: list[bytes] = []

    def shell(self, line: str) -> str:
        return run("bash", "-euo", "pipefail", "-c", line, cwd=self.repository, env=self.env)

    def env_value(self, name: str) -> str:
        found = re.search(rf"^{name}=(.*)$", (self.repository / ".env").read_text(), re.MULTILINE)
        assert found, f"{name} is not in .env"
        return found[1]

    def states(self) -> dict[str, str]:
        lines = self.shell("docker compose ps --all --format json").splitlines()
        return {one["Service"]: one["Health"] for one in map(json.loads, lines)}


GUIDE = "docs/first-mail.md"


@contextlib.contextmanager
def fake_cloudflare(repository: Path) -> Iterator[dict[str, str]]:
    """A Cloudflare account in memory, and the environment in which the real SDK finds it."""
    command = [sys.executable, "-m", "fake_cloudflare", "--zone", "example.com"]
    folder = repository / "mailctl" / "tests"
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout
        try:
            yield dict(word.split("=", 1) for word in serving.stdout.readline().split()[1:])
        finally:
            serving.terminate()


# What takes cloudflared's place, as that needs a real Cloudflare account. It wants its token, too.
TUNNEL = """#!/bin/sh
test -s "$TUNNEL_TOKEN_FILE" || exit 1
case " $* " in *" ready "*) exit 0 ;; esac
exec sleep 86400
"""


def tunnel_in_place(folder: Path, image: str) -> Path:
    """Write an override that runs the script above as cloudflared, in an image that has a shell."""
    (folder / "cloudflared").write_text(TUNNEL)
    (folder / "cloudflared").chmod(0o755)
    service = {
        "image": image,
        "pull_policy": "never",
        "entrypoint": ["/usr/local/bin/cloudflared"],
        "init": True,
        "volumes": [f"{folder}/cloudflared:/usr/local/bin/cloudflared:ro"],
    }
    override = folder / "tunnel.yml"
    override.write_text(json.dumps({"services": {"cloudflared": service}}))
    return override


@contextlib.contextmanager
def caught(mailbox: Path) -> Iterator[list[bytes]]:
    """Keep every mail that comes into a mailbox, also what is removed there within the second."""
    kept: dict[str, bytes] = {}
    over = Event()

    def watch() -> None:
        while not over.wait(0.02):
            for path in [*mailbox.glob("new/*"), *mailbox.glob("cur/*")]:
                with contextlib.suppress(FileNotFoundError):
                    kept.setdefault(path.name.partition(",")[0], path.read_bytes())

    found: list[bytes] = []
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield found
        finally:
            over.set()
            watching.result()
            found += kept.values()


def fill_in(repository: Path, values: dict[str, str]) -> None:
    """Edit .env as an operator does."""
    text = (repository / ".env").read_text()
    for name, value in values.items():
        text, count = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert count == 1, f"{name} is not in .env.example"
    (repository / ".env").write_text(text)


@pytest.fixture(scope="module")
def deployment(images, tmp_path_factory) -> Iterator[Deployment]:
    """The first deploy, once: every command of the guide, in its order, with Cloudflare and DNS in memory.

    A person edits .env. A script takes the place of cloudflared, so the test mail of `make edge-check` goes
    to the API's own address, and DNS is asked where the fake is. `make update` is run by tests/generation.
    """
    disks, folder = tmp_path_factory.mktemp("disks"), tmp_path_factory.mktemp("deploy")
    answers = {"project_slug": PROJECT}
    repository = Path(
        cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(folder))
    )
    new = Deployment(repository, standins.override(repository) if images.standins else None)
    guide = (repository / GUIDE).read_text()
    for disk, answered in DISKS.items():
        guide = guide.replace(answered, f"{disks}/{disk}")
    try:
        with fake_cloudflare(repository) as cloudflare:
            new.env |= cloudflare
            mailbox = disks / "hdd" / "mailboxes" / "example.com" / "me" / "mail"
            with caught(mailbox) as new.caught:
                for block in blocks(guide):
                    if "make update" not in block:
                        new.said[block] = new.shell(at_hand(block, new))
                    if ".env.example" in block:
                        paths = {"SSD_PATH": f"{disks}/ssd", "HDD_PATH": f"{disks}/hdd"}
                        fill_in(repository, SECRETS | paths)
                    if block == "make edge-plan\n":
                        fill_in(repository, {"COMPOSE_PROFILES": "edge"})
            yield new
    finally:
        new.shell("docker compose down --volumes --remove-orphans --timeout 5")


def at_hand(block: str, deployment: Deployment) -> str:
    """The block with what a machine without the internet needs beside it: the API's address, and the DNS."""
    if "make edge-check" not in block:
        return block
    network = f'(index .NetworkSettings.Networks "{PROJECT}_edge").IPAddress'
    address = deployment.shell(
        f"docker inspect --format '{{{{ {network} }}}}' $(docker compose ps --quiet mailserver-api)"
    ).strip()
    options = f"--resolver {deployment.env['FAKE_DNS']} --door http://{address}:8000"
    return block.replace('ARGS="', f'ARGS="{options} ')


def test_the_test_mail_of_the_guide_arrives_signed_with_the_key_that_dns_has(deployment):
    said = next(output for block, output in deployment.said.items() if "make edge-check" in block)
    assert "failed" not in said and "in the mailbox of me@example.com" in said
    resolver = dns.resolver.Resolver(configure=False)
    host, _, port = deployment.env["FAKE_DNS"].partition(":")
    resolver.nameservers, resolver.port = [host], int(port)

    def record(name: bytes, timeout: int = 5) -> bytes:
        [answer] = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        return b"".join(answer.strings)

    [mail] = [crlf(mail) for mail in deployment.caught if b"mailctl edge check" in mail]
    signed = mail[mail.index(b"DKIM-Signature: ") :]
    assert dkim.verify(signed, dnsfunc=record)
    assert not dkim.verify(signed.replace(b"front door", b"back door"), dnsfunc=record)


def test_the_guide_ends_with_nothing_left_to_do_at_cloudflare(deployment):
    said = next(output for block, output in deployment.said.items() if block == "make edge-plan\n")
    assert "Nothing to do" in said
    assert (deployment.repository / "secrets" / "cloudflared_token").stat().st_size


def test_every_service_becomes_healthy(deployment):
    eventually(lambda: set(deployment.states().values()) == {"healthy"}, limit=300)
    assert len(deployment.states()) == 11


def test_ps_and_logs_say_something(deployment):
    assert f"{PROJECT}-postfix-1" in deployment.shell("docker compose ps")
    assert "daemon started" in deployment.shell("docker compose logs --tail=50 postfix")


@pytest.mark.parametrize("variable", SECRETS)
def test_the_secrets_of_the_document_were_taken_over(deployment, variable):
    values = [path.read_text() for path in (deployment.repository / "secrets").iterdir()]
    assert SECRETS[variable] in [value.strip() for value in values]


def test_the_edge_delivers_with_the_operators_token(deployment):
    eventually(lambda: set(deployment.states().values()) == {"healthy"}, limit=300)
    script = POST.format(token=SECRETS["MAILSERVER_API_TOKEN"])
    assert deployment.shell(f'docker compose exec -T mailserver-api python -c "{script}"').strip() == "200"
    mailbox = Path(deployment.env_value("HDD_PATH")) / "mailboxes" / "example.com" / "me" / "mail"
    # A Sieve rule that sets a flag files it below cur, all others below new.
    mails = eventually(lambda: [*mailbox.glob("new/*"), *mailbox.glob("cur/*")])
    assert b"first mail" in mails[0].read_bytes()


def test_a_changed_configuration_is_checked_applied_and_taken_back(deployment):
    deployment.shell("git init -q && git add -A && git -c user.name=a -c user.email=a@b.c commit -qm first")
    main = deployment.repository / "config" / "postfix" / "main.cf"
    main.write_text(main.read_text().replace("delay_warning_time = 4h", "delay_warning_time = 3h"))
    assert "delay_warning_time = 3h" in deployment.shell("docker compose exec -T postfix postconf -n")
    deployment.shell("docker compose restart postfix")
    eventually(lambda: deployment.states()["postfix"] == "healthy", limit=60)
    deployment.shell("git checkout -q HEAD -- config/postfix/main.cf && docker compose restart postfix")
    assert "delay_warning_time = 4h" in deployment.shell("docker compose exec -T postfix postconf -n")
    eventually(lambda: deployment.states()["postfix"] == "healthy", limit=60)


# Documents with commands, and what of them is done elsewhere: the trial is what other stack tests run in.
DOCUMENTS = (
    "docs/operations.md",
    "docs/runbooks/mail-does-not-arrive.md",
    "docs/runbooks/mail-does-not-go-out.md",
    "docs/runbooks/rotate-secrets.md",
    "docs/runbooks/service-unhealthy.md",
    "docs/runbooks/virus-scanner-down.md",
)
ELSEWHERE = ("make local",)


def test_every_document_with_commands_is_listed(deployment):
    found = {
        str(path.relative_to(deployment.repository))
        for path in deployment.repository.glob("docs/**/*.md")
        if blocks(path.read_text())
    }
    assert found == {*DOCUMENTS, GUIDE, *OF_THE_HOST, *OF_THE_TARGET, *OF_THE_WORKFLOWS}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_works_as_written(deployment, document):
    eventually(lambda: set(deployment.states().values()) == {"healthy"}, limit=300)
    text = (deployment.repository / document).read_text()
    for setting in ("ssd", "hdd"):
        text = text.replace(DISKS[setting], deployment.env_value(f"{setting.upper()}_PATH"))
    for block in blocks(text):
        if not any(words in block for words in ELSEWHERE):
            deployment.shell(block)


def test_the_dkim_key_is_rotated_by_the_commands_of_its_task(deployment):
    [block] = blocks(tasks((deployment.repository / HOW).read_text())[DKIM])
    asked = f' ARGS="--resolver {deployment.env["FAKE_DNS"]}"\n'
    said = deployment.shell("".join(line.replace("\n", asked) for line in block.splitlines(keepends=True)))
    assert "stays for mail on its way" in said


def test_git_takes_no_secret_of_the_deployment(deployment, tmp_path):
    git = ["git", f"--work-tree={deployment.repository}", f"--git-dir={tmp_path}/git"]
    subprocess.run([*git, "init", "--quiet"], check=True, capture_output=True)
    subprocess.run([*git, "add", "--all"], check=True, capture_output=True)
    listed = subprocess.run(
        [*git, "ls-files"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert ".env" not in listed and not [name for name in listed if name.startswith("secrets/")]
    for name in listed:
        text = (deployment.repository / name).read_text(errors="replace")
        assert not [variable for variable, value in SECRETS.items() if value in text], name
