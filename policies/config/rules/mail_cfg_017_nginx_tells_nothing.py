"""MAIL_CFG_017: nginx answers to its own names only."""

import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.model import Found

#: A pattern that takes any name.
ANY = re.compile(r"^~.*(?:\.[*+]|\[\^)")
LISTENS = re.compile(r"^(?:(?:\[[^\]]*\]|[^:\s]*):)?(?P<port>\d+)$")


def check(subject: Configuration) -> Iterator[Found]:
    """Look for a silent server on each port, then at names that fit all."""
    blocks = [block for tree in subject.blocks("nginx") for block in tree.walk()]
    servers = [each for each in blocks if each.name == "server"]
    silent = {
        port for each in servers if each.get("return") == "444" for port, default in _ports(each) if default
    }
    for server in (each for each in servers if each.get("return") != "444"):
        for port in sorted({port for port, _ in _ports(server)} - silent):
            what, should = (f"foreign names get an answer on port {port}", "a default_server with return 444")
            yield Found(server.place, what, should, f"nginx/server/{port}")
        for setting in server.all("server_name"):
            if any(ANY.match(name) for name in setting.value.split()):
                what, should = "the server takes any name", "its names, one by one"
                yield Found(setting.place, what, should, "nginx/server_name")


def _ports(server: Block) -> Iterator[tuple[str, bool]]:
    """Yield each port a server listens on, and whether it is the default there."""
    for value in [each.value for each in server.all("listen")] or ["80"]:
        words = value.split()
        matched = LISTENS.match(words[0]) if words else None
        yield matched["port"] if matched else "80", "default_server" in words
