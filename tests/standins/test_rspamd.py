"""The stand-in for rspamd: upstream's user, ports and health probe, and no HTTP client inside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.places import REPOSITORY
from tests.standins.hardened import Container

SEAL_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3f44n254XcMrBBWj07lMcu4hyxWD++5FAGTDpXmYh+ZWVS"
    "xcdfKBUF0ld/xkENyAHtFTlH6g2VBcYKMCqgqFe5u3xpqpLreZkas8eVVfU3+sPNZXS71uOfmLK2JfonKgt+4MYz9A"
    "PeXyB7w6oQl+OBrdWOkgIo+SuVBcCti0iAcWFyzeLMkSqBmMfXy8X3xJcLpumhEF3x9Ot81KHv+7iLhwaqffAuXMX3"
    "eFS/KYDfhVIiVZSmeGCGu9h3fTEQ9pYdG0Fl1l3QD61mRVhKa4tHySlAOtMwHitschAGaUdZJJFbHOUgpOys2Qtj+5"
    "vkv8hHd4XHyR4y4nY1PMZP4p/wIDAQAB"
)


@pytest.fixture(scope="module")
def rspamd(start: Callable[..., Container]) -> Container:
    """A server without any settings of its own."""
    container = start("rspamd", "--user=11333:11333", "--tmpfs=/tmp", "--volume=/var/lib/rspamd")
    container.wait_healthy("sh", "-c", own_probe(container))
    return container


def own_probe(container: Container) -> str:
    """The image's own health command, as an operator inherits it."""
    kind, command = container.state()["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD-SHELL"
    return str(command)


@pytest.mark.parametrize("port", [11332, 11333, 11334])
def test_its_three_workers_listen_for_other_containers(rspamd: Container, port: int) -> None:
    assert rspamd.succeeds("bash", "-c", f"exec 3<>/dev/tcp/$HOSTNAME/{port}")


def test_it_logs_to_the_container(rspamd: Container) -> None:
    assert "rspamd" in rspamd.log()


def test_only_its_data_folder_is_writable_and_belongs_to_it(rspamd: Container) -> None:
    assert rspamd.execute("id", "-u").stdout.strip() == "11333"
    assert rspamd.succeeds("bash", "-c", ": > /var/lib/rspamd/mine")
    assert not rspamd.succeeds("bash", "-c", ": > /etc/rspamd/mine")


def test_the_shipped_defaults_are_in_upstreams_folder_and_the_operators_is_empty(rspamd: Container) -> None:
    assert rspamd.execute("sh", "-c", "ls -A /etc/rspamd").stdout == ""
    assert rspamd.succeeds("test", "-f", "/usr/share/rspamd/config/modules.d/antivirus.conf")
    assert rspamd.succeeds("rspamadm", "configtest")


def test_the_operators_local_settings_are_merged(start: Callable[..., Container], folder: Path) -> None:
    (folder / "actions.conf").write_text("reject = 77;\n")
    mount = f"--volume={folder}:/etc/rspamd/local.d:ro"
    container = start("rspamd", "--user=11333:11333", "--tmpfs=/tmp", "--volume=/var/lib/rspamd", mount)
    container.wait_healthy("sh", "-c", own_probe(container))
    assert "reject = 77;" in container.execute("rspamadm", "configdump", "actions").stdout


def test_spam_is_refused_with_its_points_and_the_strongest_reason(
    start: Callable[..., Container], folder: Path
) -> None:
    """The operator's own rule file, with a limit that any mail of a stranger reaches."""
    (folder / "actions.conf").write_text(
        "reject = 0.1;\nadd_header = null;\nrewrite_subject = null;\ngreylist = null;\n"
    )
    rules = REPOSITORY / "config/rspamd/lua.local.d/refusal_reason.lua"
    mounts = (
        f"--volume={folder}:/etc/rspamd/local.d:ro",
        f"--volume={rules}:/etc/rspamd/lua.local.d/refusal_reason.lua:ro",
    )
    container = start("rspamd", "--user=11333:11333", "--tmpfs=/tmp", "--volume=/var/lib/rspamd", *mounts)
    container.wait_healthy("sh", "-c", own_probe(container))
    mail = "printf 'Subject: hello\\r\\n\\r\\nhello\\r\\n'"
    scan = f"{mail} | rspamc --json -h 127.0.0.1:11333 -i 192.0.2.1 symbols"
    found = json.loads(container.execute("sh", "-c", scan).stdout)
    said = r"it looks like spam: \d+\.\d points, 0\.1 are too many; above all: [ -~]{1,90}"
    assert found["action"] == "reject"
    assert re.fullmatch(said, found["messages"]["smtp_message"])


def test_a_forwarders_seal_is_verified(start: Callable[..., Container], folder: Path) -> None:
    """ARC (RFC 8617), which nothing here turns on or off: the seal was made with dkimpy and the key below."""
    (folder / "options.inc").write_text(
        'dns { timeout = 0.1s; retransmits = 1; fake_records = [ { name = "arc._domainkey.fwd.example"; '
        f'type = txt; replies = ["v=DKIM1; k=rsa; p={SEAL_KEY}"]; }} ] }}\n'
    )
    mount = f"--volume={folder}/options.inc:/etc/rspamd/local.d/options.inc:ro"
    container = start("rspamd", "--user=11333:11333", "--tmpfs=/tmp", "--volume=/var/lib/rspamd", mount)
    container.wait_healthy("sh", "-c", own_probe(container))
    sealed = Path(__file__).with_name("sealed.eml").read_text(encoding="utf-8")
    for mail, verdict in ((sealed, "ARC_ALLOW"), (sealed + "changed\n", "ARC_REJECT")):
        scan = container.execute("rspamc", "--json", "-h", "127.0.0.1:11333", "symbols", stdin=mail)
        assert verdict in json.loads(scan.stdout)["symbols"]


@pytest.mark.parametrize("tool", ["curl", "wget", "nc", "perl", "python3"])
def test_probes_cannot_rely_on_other_tools(rspamd: Container, tool: str) -> None:
    assert not rspamd.has_tool(tool)


def test_the_controller_still_has_upstreams_known_password(rspamd: Container) -> None:
    # Were it another one here, a configuration that forgets to set a password would pass its tests.
    assert rspamd.succeeds(
        "grep", "-q", '^password = "q1";', "/usr/share/rspamd/config/worker-controller.inc"
    )
