"""MAIL_CFG_039: nginx limits log-ins for each client wherever it forwards requests."""

import re
from collections.abc import Iterator, Mapping

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.model import Found

CLIENT = "$binary_remote_addr"
ZONE = re.compile(r"\bzone=(\w+)")


def check(subject: Configuration) -> Iterator[Found]:
    """Find the zones that count clients, then look at what each server forwards."""
    trees = subject.blocks("nginx")
    blocks = [block for tree in trees for block in tree.walk()]
    maps = {block.label.rpartition(" ")[2]: block for block in blocks if block.name == "map"}
    declared = [setting.value for block in blocks for setting in block.all("limit_req_zone")]
    zones = {matched[1]: each.split()[0] for each in declared if (matched := ZONE.search(each))}
    for tree in trees:
        for server in (each for each in tree.walk() if each.name == "server"):
            counts = {zone for zone, key in zones.items() if _counts(key, maps, server)}
            needed = counts & {"login"} if "login" in zones else counts
            yield from _limited(server, needed, bool(tree.all("limit_req")))


def _counts(key: str, maps: Mapping[str, Block], server: Block) -> bool:
    """Tell whether a key counts clients: the address, or a map that gives it for requests to a server."""
    others = {name: each for name, each in maps.items() if name != key}
    name = server.get("server_name").partition(" ")[0]
    block = maps.get(key)
    by_name = block and "$server_name" in block.label and not name.startswith("~")
    lines = [each for each in block.settings if _counts(each.value, others, server)] if block else []
    return key == CLIENT or any(not by_name or name in each.name.replace("\\", "") for each in lines)


def _limited(block: Block, needed: set[str], above: bool) -> Iterator[Found]:
    """Look at a server, and at each place in it: a limit of its own takes the place of those above."""
    own = {matched[1] for each in block.all("limit_req") if (matched := ZONE.search(each.value))}
    above = bool(own & needed) if own else above
    if block.all("proxy_pass") and not above:
        where = f"{block.name} {block.label}".strip()
        what = f"{where} forwards log-ins without a limit for each client"
        should = "limit_req zone=login burst=20 nodelay"
        yield Found(block.where("proxy_pass"), what, should, f"nginx/{where}")
    for inner in block.blocks:
        yield from _limited(inner, needed, above)
