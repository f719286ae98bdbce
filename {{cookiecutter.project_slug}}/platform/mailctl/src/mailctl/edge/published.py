"""Whether public DNS has a record as it should be: the one comparison of all commands that look."""

from collections.abc import Collection
from dataclasses import dataclass

from mailctl.edge.dns_view import Unasked, View

OK, MISSING, DIFFERS, UNASKED = "ok", "missing", "differs", "unasked"
ASK_PLAN = "make edge-plan says what to do about the CNAME: DNS allows nothing beside it"
ASK_AGAIN = "try again; --resolver 1.1.1.1 asks another DNS server than this host's"
# Cloudflare may answer for these itself, with addresses of its own: that they lead somewhere is all one sees,
# but for a CNAME of which it is known that it does not.
LEADING = ("A", "AAAA", "CNAME")
DKIM = "._domainkey."
# How a CNAME is shown in the place of a record, which it hides (RFC 1034, section 3.6.2).
ALIAS = "CNAME "


@dataclass(frozen=True)
class Published:
    """What DNS has in the place of a record; `texts` is empty where it could not be asked."""

    state: str
    texts: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.state == OK

    @property
    def hidden(self) -> bool:
        """Whether a CNAME is in the record's place."""
        return any(text.startswith(ALIAS) for text in self.texts)

    @property
    def text(self) -> str:
        """For people."""
        if self.state == UNASKED:
            return "DNS could not be asked"
        return f"DNS says: {'; '.join(self.texts) or 'nothing'}"


def compare(view: View, kind: str, name: str, wanted: Collection[str] = ()) -> Published:
    """`wanted` is all that should be there for one purpose: of MX every server, of others one text."""
    try:
        if kind in LEADING and not (kind == "CNAME" and wanted):
            return Published(OK if view.addresses(name) else MISSING)
        seen = tuple(sorted(text for text in view.ask(name, kind) if _rival(kind, name, text, wanted)))
    except Unasked:
        return Published(UNASKED)
    if seen == tuple(sorted(wanted)):
        return Published(OK, seen)
    texts = (*(ALIAS + target.rstrip(".") for target in view.look(name, "CNAME")), *seen)
    return Published(DIFFERS if texts else MISSING, texts)


def _rival(kind: str, name: str, text: str, wanted: Collection[str]) -> bool:
    """Whether a text of DNS has the purpose of those wanted; others beside them at the name do no harm."""
    if kind == "CAA":
        return text in wanted
    if kind == "TXT" and DKIM not in name:
        return any(text.startswith(each.split(";")[0].split(" ")[0]) for each in wanted)
    return True
