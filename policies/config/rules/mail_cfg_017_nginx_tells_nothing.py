import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

#: A pattern that takes any name.
ANY = re.compile(r"^~.*(?:\.[*+]|\[\^)")
LISTENS = re.compile(r"^(?:(?:\[[^\]]*\]|[^:\s]*):)?(?P<port>\d+)$")


class MAIL_CFG_017(ConfigurationRule):
    """A server that answers under any name, lists its folders and names its version helps whoever looks for a
    hole.

    Foreign names get no answer, so that scanners and poisoned Host headers end here.
    """

    name = (
        "nginx answers to its own names only: a default_server with return 444, "
        "server_tokens off, no autoindex"
    )
    severity = Severity.MEDIUM
    fix = "Restore the server block with default_server and return 444, and server_tokens off at the top"
    bad = "server {\n  listen 80 default_server;\n  autoindex on;\n}\n"
    good = "server_tokens off;\nserver {\n  listen 80 default_server;\n  return 444;\n}\n"
    language = "nginx"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the servers, then at the switches in every block."""
        trees = subject.blocks("nginx")
        if not trees:
            return
        blocks = [block for tree in trees for block in tree.walk()]
        yield from self._servers([each for each in blocks if each.name == "server"], trees[0])
        if not any(block.get("server_tokens") == "off" for block in blocks):
            yield Found(Place(trees[0].place.file), "nginx tells its version", "server_tokens off", "nginx")
        for setting in (each for block in blocks for each in block.settings):
            if setting.name in ("server_tokens", "autoindex") and setting.value not in ("off", ""):
                yield Found(setting.place, f"{setting.name} is {setting.value}", "off", "nginx")
            if setting.name == "stub_status":
                yield Found(setting.place, "stub_status is on", "leave it out", "nginx")

    def _ports(self, server: Block) -> Iterator[tuple[str, bool]]:
        """Yield each port a server listens on, and whether it is the default there."""
        for listen in server.all("listen") or ():
            words = listen.value.split()
            matched = LISTENS.match(words[0]) if words else None
            yield matched["port"] if matched else "80", "default_server" in words
        if not server.all("listen"):
            yield "80", False

    def _servers(self, servers: list[Block], tree: Block) -> Iterator[Found]:
        should = "a default_server with return 444"
        silent = {
            port
            for each in servers
            if each.get("return") == "444"
            for port, default in self._ports(each)
            if default
        }
        loud = [each for each in servers if each.get("return") != "444"]
        if not silent:
            defaults = [each.place for each in loud if any(default for _, default in self._ports(each))]
            place = defaults[0] if defaults else Place(tree.place.file)
            yield Found(place, "foreign names get an answer", should, "nginx")
            return
        for server in loud:
            for port in sorted({port for port, _ in self._ports(server)} - silent):
                yield Found(server.place, f"foreign names get an answer on port {port}", should, "nginx")
            for setting in server.all("server_name"):
                if any(ANY.match(name) for name in setting.value.split()):
                    yield Found(setting.place, "the server takes any name", "its names, one by one", "nginx")


check = MAIL_CFG_017()
