"""SSH to this host: from where, and what the key that GitHub has may ask for.

Options of a key: sshd(8), "AUTHORIZED_KEYS FILE FORMAT" (https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT).
"""

import os
import re
import subprocess
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from pathlib import Path

from mailctl import agent
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

AUTHORIZED = Path("/root/.ssh/authorized_keys")
KEY = re.compile(r"((?:ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+)(?: .*)?")
Network = IPv4Network | IPv6Network


def sources(context: Context) -> tuple[Network, ...]:
    """From where alone SSH is open; empty: everywhere. Raises Refused: no network, or not this session's."""
    field, found = "DEPLOY_SSH_FROM", list[Network]()
    for word in context.setting(field).replace(",", " ").split():
        try:
            found.append(ip_network(word, strict=False))
        except ValueError:
            fix = "write addresses and networks such as 203.0.113.7,2001:db8::/48"
            raise Refused(Problem(field, "is no address and no network", fix, value=word)) from None
    here = session()
    if found and here and not any(ip_address(here) in each for each in found):
        fix = f"add {here}, or run this on the console"
        raise Refused(Problem(field, f"leaves out {here}, from where you are logged in", fix))
    fours = (each for each in found if isinstance(each, IPv4Network))
    sixes = (each for each in found if isinstance(each, IPv6Network))
    return (*collapse_addresses(fours), *collapse_addresses(sixes))


def session() -> str:
    """The address that this session came from, which sudo keeps to itself; "" on the console."""
    said = subprocess.run(["who", "-m"], capture_output=True, text=True, check=False).stdout
    terminal = re.search(r"\(([^)]+)\)", said)
    for word in (*os.environ.get("SSH_CONNECTION", "").split()[:1], *(terminal.groups() if terminal else ())):
        try:
            address = ip_address(word.partition("%")[0])
        except ValueError:
            continue
        return str(getattr(address, "ipv4_mapped", None) or address)
    return ""


def key(context: Context, networks: tuple[Network, ...]) -> str:
    """The line of the key that deploys; "" where none does. Raises Refused for what is no public key."""
    field = "DEPLOY_SSH_PUBLIC_KEY"
    given = context.setting(field) if context.setting("DEPLOY_METHOD") == "ssh" else ""
    if not given:
        return ""
    if not (found := KEY.fullmatch(given)):
        fix = "write the one line of the file that ends in .pub; the other one is for GitHub alone"
        raise Refused(Problem(field, "is no public key", fix))
    places = f'from="{",".join(map(str, networks))}",' if networks else ""
    command = f'command="{agent.folder(context)}/run over-ssh"'
    return f"restrict,{places}{command} {found[1]} {mark(context.project_name)}"


def mark(project: str) -> str:
    """The comment of our line; all others are the operator's."""
    return f"{project}-deploy"


def differs(project: str, line: str) -> list[str]:
    """What is missing in authorized_keys, or there no longer to be."""
    found = [each for each in _lines() if each.endswith(f" {mark(project)}")]
    what = "with" if line else "without"
    return [] if found == [line] * bool(line) else [f"{AUTHORIZED} {what} the key that deploys"]


def write(project: str, line: str) -> None:
    """Put our line in place of the one before, or take it away; the others stay."""
    others = [each for each in _lines() if not each.endswith(f" {mark(project)}")]
    AUTHORIZED.parent.mkdir(mode=0o700, exist_ok=True)
    beside = AUTHORIZED.with_name(".authorized_keys.new")
    beside.touch(mode=0o600)
    beside.write_text("".join(f"{each}\n" for each in [*others, *[line] * bool(line)]), "utf-8")
    beside.replace(AUTHORIZED)


def _lines() -> list[str]:
    return AUTHORIZED.read_text("utf-8").splitlines() if AUTHORIZED.exists() else []
