from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.configuration import Configuration

ON = ("on", "build")


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
        defaults = [
            each
            for each in blocks
            if each.name == "server" and "default_server" in each.get("listen").split()
        ]
        if not any(each.get("return") == "444" for each in defaults):
            place = defaults[0].place if defaults else Place(trees[0].place.file)
            yield Found(place, "foreign names get an answer", "a default_server with return 444", "nginx")
        if not any(block.get("server_tokens") == "off" for block in blocks):
            yield Found(Place(trees[0].place.file), "nginx tells its version", "server_tokens off", "nginx")
        for block in blocks:
            for name in ("server_tokens", "autoindex", "stub_status"):
                if block.get(name) in ON or (name == "stub_status" and block.all(name)):
                    yield Found(block.where(name), f"{name} is on", "off", "nginx")


check = MAIL_CFG_017()
