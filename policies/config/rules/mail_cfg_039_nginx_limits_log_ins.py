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
    zones = {
        matched[1]: setting.value.split()[0]
        for block in blocks
        for setting in block.all("limit_req_zone")
        if (matched := ZONE.search(setting.value))
    }
    counting = {zone for zone, key in zones.items() if _counts(key, maps)}
    needed = counting & {"login"} if "login" in zones else counting
    for tree in trees:
        for server in (each for each in tree.walk() if each.name == "server"):
            yield from _limited(server, needed, bool(tree.all("limit_req")))


def _counts(key: str, maps: Mapping[str, Block]) -> bool:
    """Tell whether a key counts clients: the address, or a map that gives it for some requests at least."""
    others = {name: each for name, each in maps.items() if name != key}
    return key == CLIENT or (key in maps and any(_counts(each.value, others) for each in maps[key].settings))


def _limited(block: Block, needed: set[str], above: bool) -> Iterator[Found]:
    """Look at a server, and at each place in it: a limit of its own takes the place of those above."""
    own = {matched[1] for each in block.all("limit_req") if (matched := ZONE.search(each.value))}
    above = bool(own & needed) if own else above
    if block.all("proxy_pass") and not above:
        where = f"{block.name} {block.label}".strip()
        what = f"{where} forwards log-ins without a limit for each client"
        yield Found(
            block.where("proxy_pass"), what, "limit_req zone=login burst=20 nodelay", f"nginx/{where}"
        )
    for inner in block.blocks:
        yield from _limited(inner, needed, above)
