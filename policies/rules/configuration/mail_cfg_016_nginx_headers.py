from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.braces import Block
from policies.sources.configuration import Configuration

#: Each header, and a word that its value must have.
HEADERS = {
    "Strict-Transport-Security": "",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "",
    "Referrer-Policy": "",
}


class MAIL_CFG_016(ConfigurationRule):
    """These headers keep the webmail out of foreign frames, its addresses out of foreign logs, and browsers
    on HTTPS.

    nginx forgets them all in a block that has an add_header of its own, and on error pages without `always`.
    """

    name = (
        "nginx sends its security headers everywhere: add_header … always at the top, "
        "and no add_header further in"
    )
    severity = Severity.HIGH
    fix = (
        "Write the header at the top of the file with always; take add_header out of "
        "server and location, or repeat all there"
    )
    bad = "location / {\n  add_header X-Robots-Tag none;\n}\n"
    good = "add_header X-Content-Type-Options nosniff always;\n"
    language = "nginx"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the top of the files, then for blocks that lose what stands there."""
        trees = subject.blocks("nginx")
        top = {name.lower(): text for tree in trees for name, text, _ in self._headers(self._http(tree))}
        for name, word in HEADERS.items() if trees else ():
            if name.lower() not in top or word not in top[name.lower()]:
                yield Found(
                    Place(trees[0].place.file), f"{name} is not sent", f"add_header {name} … always;", name
                )
        for tree in trees:
            for block in tree.walk():
                headers = list(self._headers(block))
                for name, text, place in headers:
                    if name in HEADERS and not text.endswith("always"):
                        yield Found(place, f"{name} is not sent with errors", "always at its end", name)
                own = {name for name, _, _ in headers}
                if block is not self._http(tree) and own and not set(HEADERS) <= own:
                    what = (
                        f"{block.name} {block.label} sends {', '.join(sorted(own))} instead "
                        f"of the headers above"
                    )
                    yield Found(
                        headers[0][2],
                        what.replace("  ", " "),
                        "no add_header here",
                        block.label or block.name,
                    )

    def _http(self, tree: Block) -> Block:
        return next(iter(tree.inner("http")), tree)

    def _headers(self, block: Block) -> Iterator[tuple[str, str, Place]]:
        for setting in block.all("add_header"):
            name, _, value = setting.value.partition(" ")
            yield name, value, setting.place


check = MAIL_CFG_016()
