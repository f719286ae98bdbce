"""`mailctl certificate`: from a real ACME server, whole or not at all, and before the old one ends."""

import datetime
import json
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Cli
from cryptography import x509
from edge_repo import EdgeRepo
from fake_cloudflare import FakeCloudflare
from fake_dns import FakeDns
from fakes import FakeEngine, container

from mailctl.certificate import order, renew
from mailctl.certificate.challenge import MARK
from mailctl.core.context import Context
from mailctl.monitor import host
from mailctl.secret_files import client_certificate as client
from mailctl.secret_files.certificates import new_key
from tests.pebble import Pebble

HOST = "imap.example.com"
COMPOSE = f"""name: shop-mail
services:
  usermgmt:
    environment:
      CLIENT_HOST: {HOST}
"""


class Scene:
    """A host with mail programs on, its zone at Cloudflare and in DNS, and an authority that looks there."""

    def __init__(self, repo: EdgeRepo, cloudflare: FakeCloudflare, dns: FakeDns, cli: Cli) -> None:
        self.repo, self.cloudflare, self.dns, self.cli = repo, cloudflare, dns, cli
        self.file = repo.root / "secrets/client_tls.pem"
        #: What services were told to take up: (service, content), and the commands inside.
        self.seen: list[tuple[str, bytes]] = []

    def run(self, *options: str) -> dict:
        words = ("--json", "--resolver", self.dns.address, "--wait", "5", *options)
        return json.loads(self.cli("certificate", *words).stdout)

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.file.read_bytes())

    @property
    def reloads(self) -> list[list[str]]:
        return [c["arguments"][2:] for c in self.repo.docker.calls_with("reload")]

    def proofs(self) -> list[dict]:
        return [r for r in self.cloudflare.state.records.values() if r["name"].startswith("_acme-challenge")]


@pytest.fixture(scope="module")
def dns() -> Iterator[FakeDns]:
    """Its `state` is that of each test's Cloudflare."""
    with FakeDns(None) as server:
        yield server


@pytest.fixture(scope="module")
def authority(dns: FakeDns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with Pebble(tmp_path_factory.mktemp("authority") / "pebble", dns.address) as it:
        yield it


@pytest.fixture
def scene(
    edge_repo: EdgeRepo,
    cloudflare: FakeCloudflare,
    dns: FakeDns,
    engine: FakeEngine,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    root = edge_repo.root
    (root / "docker-compose.yml").write_text(COMPOSE)
    (root / "ssd").mkdir()
    with (root / ".env").open("a") as file:
        file.write("SSD_PATH=./ssd\nHDD_PATH=./hdd\n")
    monkeypatch.setattr("mailctl.core.monitoring.unmounted", lambda *_: None)
    assert cli("secrets", "init").exit_code == 0
    # The token that may do all is not what this command uses, and this one may do no more.
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another-token")
    monkeypatch.setenv("ACME_CLOUDFLARE_TOKEN", cloudflare.token)
    cloudflare.scopes &= {"zone", "dns"}
    engine.containers = [container(name) for name in ("dovecot", "postfix")]
    dns.state = cloudflare.state
    dns.hidden.clear()
    there = Scene(edge_repo, cloudflare, dns, cli)
    monkeypatch.setattr(renew, "see", lambda _id, name, _file, now: there.seen.append((name, now)))
    return there


@pytest.fixture
def pebble(scene: Scene, authority: Pebble, monkeypatch: pytest.MonkeyPatch) -> Pebble:
    monkeypatch.setenv("ACME_DIRECTORY", authority.directory)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    # The library waits a second before it asks again how an order stands.
    monkeypatch.setattr("acme.client.time", SimpleNamespace(sleep=lambda _s: threading.Event().wait(0.05)))
    return authority


def test_a_certificate_is_obtained_and_taken_up_and_kept_until_it_is_due(
    scene: Scene, pebble: Pebble, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, inode = scene.file.read_bytes(), scene.file.stat().st_ino
    assert client.read(own, (scene.file.parent / "internal_ca.crt").read_bytes()).own
    done = scene.run()
    assert (done["state"], done["host"], done["own"]) == ("renewed", HOST, False)
    # Containers keep the very file open, and its mode lets their accounts read it.
    assert (scene.file.stat().st_ino, scene.file.stat().st_mode & 0o777) == (inode, 0o444)
    assert scene.seen == [("dovecot", scene.file.read_bytes()), ("postfix", scene.file.read_bytes())]
    assert scene.reloads == [["doveadm", "reload"], ["postfix", "reload"]]
    assert scene.proofs() == []
    verified(scene.file, pebble.roots())

    before = scene.file.read_bytes()
    assert scene.run()["state"] == "kept" and len(scene.reloads) == 2
    # `make setup` leaves it alone, too.
    assert scene.cli("secrets", "init").exit_code == 0 and scene.file.read_bytes() == before

    age(monkeypatch, datetime.timedelta(days=61))
    assert scene.run()["state"] == "renewed" and scene.file.read_bytes() != before
    verified(scene.file, pebble.roots())


def verified(file: Path, roots: str) -> None:
    """A client that trusts the authority alone accepts key and chain, by the host's name."""
    server, phone = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=roots)
    server.load_cert_chain(file)
    ends = [ssl.MemoryBIO() for _ in range(2)]
    there = server.wrap_bio(*ends, server_side=True)
    here = phone.wrap_bio(*reversed(ends), server_hostname=HOST)
    for _ in range(4):
        for each in (here, there):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert here.getpeercert()["subjectAltName"] == (("DNS", HOST),)


def age(monkeypatch: pytest.MonkeyPatch, later: datetime.timedelta) -> None:
    """Judge the certificate as so much later."""
    left = client.ClientCertificate.left.fget
    monkeypatch.setattr(client.ClientCertificate, "left", property(lambda self: left(self) - later))
    # What is new is judged as it is.
    monkeypatch.setattr(renew, "_whole", lambda content, ca, _host: client.read(content, ca))


def failing_dns(scene: Scene, _patch: pytest.MonkeyPatch) -> None:
    scene.dns.hidden.add(f"_acme-challenge.{HOST}")


def wrong_token(_scene: Scene, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("ACME_CLOUDFLARE_TOKEN", "wrong-token")


def token_of_too_little(scene: Scene, _patch: pytest.MonkeyPatch) -> None:
    scene.cloudflare.scopes.discard("dns")


def lost_authority(_scene: Scene, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("ACME_DIRECTORY", "https://127.0.0.1:1/dir")


def other_proof(_scene: Scene, patch: pytest.MonkeyPatch) -> None:
    """What DNS says is not what the authority asked for."""
    real = order._answers
    patch.setattr(order, "_answers", lambda *a: ((c, r, "elsewhere") for c, r, _ in real(*a)))


def other_key(_scene: Scene, patch: pytest.MonkeyPatch) -> None:
    """What the authority hands over does not belong to the key."""
    real = order.obtain
    patch.setattr(order, "obtain", lambda d, a, _key, *rest: real(d, a, new_key(), *rest))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (failing_dns, "is not seen by"),
        (wrong_token, "Cloudflare does not accept the token"),
        (token_of_too_little, "the token is not allowed to"),
        (lost_authority, "cannot be reached or takes too long"),
        (other_proof, "does not find the proof in DNS"),
        (other_key, "is not a valid certificate for this name and key"),
    ],
)
def test_whatever_fails_the_old_certificate_stays_and_the_monitor_says_why(
    scene: Scene, pebble: Pebble, context: Context, monkeypatch: pytest.MonkeyPatch, fault, said: str
) -> None:
    before = scene.file.read_bytes()
    fault(scene, monkeypatch)
    document = scene.run("--wait", "0")
    assert not document["ok"] and said in document["problems"][0]["wrong"]
    if fault is wrong_token:
        assert document["problems"][0]["field"] == "ACME_CLOUDFLARE_TOKEN" and "wrong-token" not in str(
            document
        )
    assert scene.file.read_bytes() == before and scene.reloads == [] and scene.proofs() == []
    found = list(host.client_certificate(SimpleNamespace(context=context, now=0.0)))
    assert len(found) == 1 and said in found[0].text and HOST in found[0].text


def test_what_could_not_be_taken_up_is_taken_up_by_the_next_run(scene: Scene, pebble: Pebble) -> None:
    scene.repo.docker.answer("postfix", stderr="it is starting", code=1)
    refused = scene.run()
    assert not refused["ok"] and "it is starting" in refused["problems"][0]["wrong"], refused
    renewed = scene.file.read_bytes()
    scene.repo.docker.answer("postfix")
    assert scene.run()["state"] == "kept" and scene.file.read_bytes() == renewed
    assert scene.reloads[-2:] == [["doveadm", "reload"], ["postfix", "reload"]]
    scene.run()
    assert len(scene.reloads) == 4


def test_a_proof_that_a_killed_run_left_behind_is_removed(scene: Scene, pebble: Pebble) -> None:
    rest = {"type": "TXT", "name": f"_acme-challenge.{HOST}", "content": '"old"', "ttl": 60, "proxied": False}
    scene.cloudflare.state.add_record(**rest, comment=MARK)
    scene.cloudflare.state.add_record(**rest | {"content": '"of somebody else"'}, comment="theirs")
    assert scene.run()["ok"]
    assert [record["comment"] for record in scene.proofs()] == ["theirs"]


def test_a_file_that_a_crash_tore_is_due_again_and_read_by_nobody_as_whole(
    scene: Scene, pebble: Pebble
) -> None:
    scene.run()
    whole = scene.file.read_bytes()
    os.chmod(scene.file, 0o600)
    for torn in (
        whole[:-40],
        whole + b"-----BEGIN CERTIFICATE-----\nMII",
        new_key() + whole[whole.index(b"-----BEGIN C") :],
    ):
        scene.file.write_bytes(torn)
        assert client.read(torn) is None
    assert scene.run()["state"] == "renewed"


def test_the_monitor_warns_before_it_ends(
    scene: Scene, pebble: Pebble, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.run()
    ends = scene.certificate.not_valid_after_utc.timestamp()

    def said(days: float) -> list[str]:
        facts = SimpleNamespace(context=context, now=ends - days * 86400)
        return [found.text for found in host.client_certificate(facts)]

    assert said(30) == [] and said(19) == []
    assert said(17) == [f"that of {HOST} ends in 17d 0h"] and said(-1) == [f"that of {HOST} has ended"]


def test_without_a_token_the_own_one_serves_and_without_mail_programs_there_is_nothing_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACME_CLOUDFLARE_TOKEN")
    assert scene.run() == {**scene.run(), "state": "no token", "own": True}
    (scene.repo.root / "docker-compose.yml").write_text("name: shop-mail\nservices: {}\n")
    assert scene.run()["state"] == "off" and scene.cloudflare.calls == []
