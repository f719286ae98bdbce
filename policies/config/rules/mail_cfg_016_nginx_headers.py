import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

#: Each header, and what its value must look like.
HEADERS = {
    "strict-transport-security": re.compile(r"max-age=(?:[1-9]\d{7,}|[5-9]\d{6})"),
    "x-content-type-options": re.compile(r"^nosniff$"),
    "x-frame-options": re.compile(r"^(?:deny|sameorigin)$"),
    "referrer-policy": re.compile(
        r"^(?:no-referrer|same-origin|strict-origin|origin|strict-origin-when-cross-origin)$"
    ),
}
Header = tuple[str, str, Place]


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
        trees = [tree for tree in subject.blocks("nginx") if tree.place.file.endswith(".conf")]
        if not trees:
            return
        maps = {
            block.label.rpartition(" ")[2]: block
            for tree in trees
            for block in tree.walk()
            if block.name == "map"
        }
        top = [header for tree in trees for header in self._headers(self._http(tree))]
        for name in HEADERS:
            if name not in {header[0] for header in top}:
                title = name.title()
                place = Place(trees[0].place.file)
                yield Found(place, f"{title} is not sent", f"add_header {title} … always;", title)
        for block in (each for tree in subject.blocks("nginx") for each in tree.walk()):
            for header in self._headers(block):
                yield from self._header(header, maps)
        for tree in trees:
            yield from self._lost(tree)

    def _http(self, tree: Block) -> Block:
        return next(iter(tree.inner("http")), tree)

    def _headers(self, block: Block) -> Iterator[Header]:
        for setting in block.all("add_header"):
            name, _, value = setting.value.partition(" ")
            yield name.lower(), value.lower(), setting.place

    def _header(self, header: Header, maps: dict[str, Block]) -> Iterator[Found]:
        name, text, place = header
        if name not in HEADERS:
            return
        value, _, last = text.rpartition(" ")
        if last != "always":
            value = text
            yield Found(place, f"{name.title()} is not sent with errors", "always at its end", name.title())
        values = [value]
        if value in maps:  # nothing is sent for an empty value: one of them must be right, none wrong
            values = [each.value.lower() for each in maps[value].settings if each.value] or [""]
        for wrong in (each for each in values if not HEADERS[name].search(each)):
            what = f"{name.title()} is {wrong or 'empty'}"
            yield Found(place, what, "a value that protects", name.title())

    def _lost(self, tree: Block) -> Iterator[Found]:
        for block in tree.walk():
            headers = list(self._headers(block))
            own = {name for name, _, _ in headers}
            if (
                block is self._http(tree)
                or not own
                or set(HEADERS) <= own
                or block.get("add_header_inherit") == "merge"
            ):
                continue
            where = " ".join(f"{block.name} {block.label}".split())
            what = f"{where} sends {', '.join(sorted(own))} instead of the headers above"
            yield Found(headers[0][2], what, "no add_header here", block.label or block.name)


check = MAIL_CFG_016()
