"""MAIL_CFG_016: nginx sends its headers everywhere."""

import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.model import Found, Place

#: Each header, and what its value must look like.
HEADERS = {
    "strict-transport-security": re.compile(r"max-age=(?:[1-9]\d{7,}|[5-9]\d{6})"),
    "x-content-type-options": re.compile(r"^nosniff$"),
    "x-frame-options": re.compile(r"^(?:deny|sameorigin)$"),
    "content-security-policy": re.compile(
        r"^(?!.*(?:default-src|script-src|frame-ancestors)[^;]* (?:\*|https?:|data:)(?:[\s;]|$))"
        r".*\b(?:default-src|script-src|frame-ancestors)\s"
    ),
    "referrer-policy": re.compile(
        r"^(?:no-referrer|same-origin|strict-origin|origin|strict-origin-when-cross-origin)$"
    ),
}
#: Directives of which a block with one of its own has none of those above it.
REPLACED = ("add_header", "proxy_set_header")


def check(subject: Configuration) -> Iterator[Found]:
    """Look at the top of the files, then for blocks that lose what stands there."""
    trees = [tree for tree in subject.blocks("nginx") if tree.place.file.endswith(".conf")]
    blocks = [block for tree in trees for block in tree.walk()]
    maps = {block.label.rpartition(" ")[2]: block for block in blocks if block.name == "map"}
    tops = [next(iter(tree.inner("http")), tree) for tree in trees]
    sent = {name for top in tops for name in _names(top, "add_header")}
    for name in HEADERS if trees else ():
        if name not in sent:
            place, title = Place(trees[0].place.file), name.title()
            yield Found(place, f"{title} is not sent", f"add_header {title} … always;", f"nginx/{title}")
    for block in blocks:
        yield from _values(block, maps)
    for directive in REPLACED:
        above = {name for top in tops for name in _names(top, directive)}
        needed = set(HEADERS) if directive == "add_header" else above
        for block in (each for each in blocks if each not in tops):
            lost = needed - set(_names(block, directive))
            if block.all(directive) and lost and block.get("add_header_inherit") != "merge":
                where = " ".join(f"{block.name} {block.label}".split())
                what = f"{where} has a {directive} of its own, and loses {', '.join(sorted(lost))}"
                should, entity = f"no {directive} here, or all of them", f"nginx/{where}/{directive}"
                yield Found(block.where(directive), what, should, entity)


def _names(block: Block, directive: str) -> Iterator[str]:
    return (setting.value.partition(" ")[0].lower() for setting in block.all(directive))


def _values(block: Block, maps: dict[str, Block]) -> Iterator[Found]:
    for setting in block.all("add_header"):
        name, _, value = setting.value.lower().partition(" ")
        if name not in HEADERS:
            continue
        entity = f"nginx/{block.label}/{name.title()}"
        if not value.endswith(" always"):
            yield Found(setting.place, f"{name.title()} is not sent with errors", "always at its end", entity)
        sent = _sent(value.removesuffix(" always"), maps)
        # Nothing is sent for an empty value: one of them must be right, and none wrong.
        for wrong in (
            each for each in [each for each in sent if each] or [""] if not HEADERS[name].search(each)
        ):
            what = f"{name.title()} is {wrong or 'empty'}"
            yield Found(setting.place, what, "a value that protects", entity)


def _sent(value: str, maps: dict[str, Block], depth: int = 3) -> list[str]:
    """Return the values that a header may have: those of its map, and of a map that this one names."""
    if value not in maps or not depth:
        return [value]
    return [
        each for setting in maps[value].settings for each in _sent(setting.value.lower(), maps, depth - 1)
    ]
