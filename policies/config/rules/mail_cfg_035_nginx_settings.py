import re
from collections.abc import Iterator

from policies.config import demands
from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

CLIENT = "$binary_remote_addr"


class MAIL_CFG_035(ConfigurationRule):
    """One directive sends requests with their passwords to another host, believes clients about their
    address, or lets them guess passwords without a limit.

    policies/data/settings/nginx.yml says what each must be and what happens otherwise.
    """

    name = "nginx: log-ins are limited, and no directive sends requests elsewhere or runs code: see the table"
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the directive out. What is allowed stands in "
        "policies/data/settings/nginx.yml"
    )
    bad = "real_ip_header X-Forwarded-For;\n"
    good = "real_ip_header CF-Connecting-IP;\n"
    language = "nginx"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every directive, then whether what is handed over is limited by the client's address."""
        trees = subject.blocks("nginx")
        for tree in trees:
            yield from demands.found("nginx", demands.of_block(tree))
        blocks = [block for tree in trees for block in tree.walk()]
        maps = {block.label.rpartition(" ")[2]: block for block in blocks if block.name == "map"}
        zones = {
            matched[1]: setting.value.split()[0]
            for block in blocks
            for setting in block.all("limit_req_zone")
            if (matched := re.search(r"\bzone=(\w+)", setting.value))
        }
        counting = {zone for zone, key in zones.items() if self._counts(key, maps)}
        needed = counting if not zones or "login" not in zones else counting & {"login"}
        for tree in trees:
            for server in (each for each in tree.walk() if each.name == "server"):
                yield from self._limited(server, needed, bool(tree.all("limit_req")))

    def _counts(self, key: str, maps: dict[str, Block]) -> bool:
        """Tell whether a zone counts clients, some of their requests at least."""
        return key == CLIENT or (key in maps and any(each.value == CLIENT for each in maps[key].settings))

    def _limited(self, block: Block, needed: set[str], above: bool) -> Iterator[Found]:
        """Look at a server, and at each place in it: a limit of its own takes the place of those above."""
        own = {
            matched[1]
            for each in block.all("limit_req")
            if (matched := re.search(r"\bzone=(\w+)", each.value))
        }
        above = bool(own & needed) if own else above
        if block.all("proxy_pass") and not above:
            what = f"{block.name} {block.label} hands log-ins over without a limit for each client".strip()
            yield Found(block.where("proxy_pass"), what, "limit_req zone=login burst=20 nodelay", "nginx")
        for inner in block.blocks:
            yield from self._limited(inner, needed, above)


check = MAIL_CFG_035()
