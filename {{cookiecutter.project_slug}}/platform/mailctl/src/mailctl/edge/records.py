"""DNS records: those of the file, one CNAME a host name of the tunnel, one DKIM record a key."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from mailctl.edge import plan
from mailctl.edge.cloud import DNS, created, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.published import DKIM
from mailctl.edge.session import Session

# https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/
AUTOMATIC_TTL = 1
# RFC 1035, section 3.3: a character-string.
TXT_STRING = 255
# https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/routing-to-tunnel/dns/
TUNNEL_DOMAIN = "cfargotunnel.com"
UNKNOWN_TUNNEL = f"(the new tunnel).{TUNNEL_DOMAIN}"
# TXT records of which a name may have one: replaced, never put beside another one.
SINGLE_TXT = ("v=spf1", "v=DMARC1", "v=DKIM1", "v=STSv1", "v=TLSRPTv1")
ADDRESSES = ("A", "AAAA", "CNAME")
# https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/create/
SERVICE = ("priority", "weight", "port", "target")
KIND = "DNS record"
ALONE = "DNS allows nothing beside a CNAME"
# A key can have any name, so nobody has to give one up for it.
RENAME_KEY = "make dkim-rotate: the next key gets a name of its own, and what is there stays"


@dataclass(frozen=True)
class Record:
    """A record, wanted or found; `content` of a TXT record is the joined text without quotation marks."""

    type: str
    name: str
    content: str
    proxied: bool = False
    ttl: int = AUTOMATIC_TTL
    id: str = ""
    comment: str = ""
    priority: int = 0

    @property
    def slot(self) -> tuple[str, ...]:
        """The place that only one record can have."""
        if self.type in ADDRESSES:
            return ("address", self.name)
        if self.type == "SRV":  # one server a service
            return (self.type, self.name)
        single = next((word for word in SINGLE_TXT if self.content.startswith(word)), None)
        return (self.type, self.name, single if self.type == "TXT" and single else self.content)

    @property
    def shown(self) -> dict[str, str]:
        text = {"content": self.content}
        if self.type in ADDRESSES:
            text["proxied"] = "yes" if self.proxied else "no"
        if self.ttl != AUTOMATIC_TTL:
            text["ttl"] = str(self.ttl)
        return text

    @property
    def title(self) -> str:
        return f"{self.type} {self.name}"

    def same(self, other: "Record") -> bool:
        """Whether resolvers would see the same."""
        left = (self.type, self.name, self.content, self.proxied)
        return left == (other.type, other.name, other.content, other.proxied) and self._ttl_fits(other)

    def _ttl_fits(self, other: "Record") -> bool:
        return self.proxied or self.ttl == other.ttl


def live(session: Session) -> list[Record]:
    """All records of the zone."""
    cloud = session.cloud
    with explained("reading the DNS records", DNS):
        found = list(cloud.client.dns.records.list(zone_id=cloud.zone_id, per_page=500))
    return [_read(record) for record in found]


def wanted(session: Session) -> list[Record]:
    """The records that the file asks for, those that follow from it, and those of rspamd's keys."""
    edge = session.edge
    records = [
        Record(r["type"], r["name"], r["content"], r.get("proxied", False), r.get("ttl", AUTOMATIC_TTL))
        for r in edge["dns"]
        if not (r["type"] == "TXT" and session.cloud.known.get("elsewhere"))
    ]
    hosts = dict.fromkeys(line["hostname"] for line in edge["tunnel"]["ingress"] if "hostname" in line)
    target = tunnel_target(session)
    records += [Record("CNAME", host, target, proxied=True) for host in hosts]
    for key in session.keys or ():
        records.append(Record("TXT", f"{key.selector}{DKIM}{edge['dkim']['domain']}", key.record))
    return records


def tunnel_target(session: Session) -> str:
    known = session.cloud.known.get("tunnel")
    return f"{known}.{TUNNEL_DOMAIN}" if known else UNKNOWN_TUNNEL


def compare(session: Session, found: list[Record]) -> Iterator[Change | Note]:
    """Everything but MX and SPF, which Email Routing has a hand in (routing.py)."""
    wants = wanted(session)
    taken: set[str] = set()
    for want in wants:
        if is_spf(session, want):
            continue
        there = [r for r in found if r.slot == want.slot or excludes(session, want, r)]
        taken.update(record.id for record in there)
        rivals = [other for other in wants if other is not want and excludes(session, want, other)]
        yield from [_rivals(want, rivals)] if rivals else _place(session, want, there)
    if session.keys is None:
        text = (
            "rspamd does not run here; its keys' records are compared and published on the host, once it runs"
        )
        yield Note(plan.WAITING, KIND, f"DKIM of {session.edge['dkim']['domain']}", text)
    for record in found:
        if record.id not in taken and record.type != "MX" and not is_spf(session, record):
            yield from _left(session, record)


def excludes(session: Session, one: Record, other: Record) -> bool:
    """Whether two records cannot share a name: DNS allows nothing beside a CNAME (RFC 1034, 3.6.2).

    Cloudflare refuses addresses there but takes a TXT, which resolvers then never see:
    https://github.com/cloudflare/cloudflare-docs/issues/30376
    """
    return one.name == other.name and (alias(session, one) or alias(session, other))


def alias(session: Session, record: Record) -> bool:
    """Whether resolvers see a CNAME: Cloudflare follows one itself that is proxied or at the zone's own name.

    https://developers.cloudflare.com/dns/cname-flattening/set-up-cname-flattening/
    """
    return record.type == "CNAME" and not record.proxied and record.name != session.zone


def is_spf(session: Session, record: Record) -> bool:
    return record.type == "TXT" and record.name == session.zone and record.content.startswith("v=spf1")


def mine(session: Session, record: Record) -> bool:
    return record.comment == session.mark


def _rivals(want: Record, rivals: list[Record]) -> Note:
    """Two wanted records of which only one can be: those of the file, or one of the file and a key's."""
    text = f"edge/edge.yml also asks for {'; '.join(f'{r.type} {r.content}' for r in rivals)}, and {ALONE}"
    keys = any(DKIM in record.name and record.type == "TXT" for record in (want, *rivals))
    fix = RENAME_KEY if keys else "remove one of the two from edge/edge.yml"
    return Note(plan.CONFLICT, KIND, want.name, text, fix)


def _place(session: Session, want: Record, there: list[Record]) -> Iterator[Change | Note]:
    """One wanted record and what is in its place."""
    foreign = [record for record in there if not mine(session, record) and not record.same(want)]
    if foreign and not session.adopts(want.name):
        text = f"{'; '.join(f'{r.type} {r.content}' for r in foreign)} is there and not ours"
        if any(excludes(session, want, record) for record in foreign):
            text = f"{text}, and {ALONE}"
        yield Note(plan.CONFLICT, KIND, want.name, text, RENAME_KEY if DKIM in want.name else "")
        return
    if not there:
        yield _change(session, plan.CREATE, want, [])
    elif len(there) > 1 or not there[0].same(want):
        yield _change(session, plan.ADOPT if foreign else plan.UPDATE, want, there)


def _left(session: Session, record: Record) -> Iterator[Change | Note]:
    """A record that the file does not ask for."""
    if not mine(session, record):
        yield Note(plan.FOREIGN, KIND, record.title, record.content)
    elif session.keys is None and DKIM in record.name:
        return
    elif session.prune:
        before = record.shown
        yield Change(
            plan.REMOVAL, plan.DELETE, KIND, record.title, before, {}, DNS, lambda: remove(session, record.id)
        )
    else:
        yield Note(plan.UNNEEDED, KIND, record.title, record.content)


def _change(session: Session, action: str, want: Record, there: list[Record]) -> Change:
    before = {key: value for record in there[:1] for key, value in record.shown.items()}
    if len(there) > 1 or (there and there[0].type != want.type):
        before = {"content": "; ".join(f"{r.type} {r.content}" for r in there)}
    return Change(
        plan.RECORDS, action, KIND, want.title, before, want.shown, DNS, lambda: put(session, want, there)
    )


def put(session: Session, want: Record, there: Iterable[Record]) -> None:
    """Make the record, or put it into the place of others, in one call: no moment has neither."""
    if want.content == UNKNOWN_TUNNEL:
        want = replace(want, content=tunnel_target(session))
    client, zone = session.cloud.once(), session.cloud.zone_id
    old = list(there)
    if not old:
        created(lambda: client.dns.records.create(zone_id=zone, **body(session, want)))
    elif len(old) == 1 and old[0].type == want.type:
        records = session.cloud.client.dns.records
        records.edit(old[0].id, zone_id=zone, **body(session, want))
    else:
        exchange(session, [record.id for record in old], [body(session, want)])


def exchange(session: Session, old: Iterable[str], new: Iterable[dict[str, Any]]) -> Any:
    """Delete the records with these ids and make others, in one call; what Cloudflare says of both."""
    # The SDK has a type for each type of record; which one it is, the file says.
    posts: list[Any] = list(new)
    batch, zone = session.cloud.once().dns.records.batch, session.cloud.zone_id
    return created(lambda: batch(zone_id=zone, deletes=[{"id": each} for each in old], posts=posts))


def remove(session: Session, record_id: str) -> None:
    """Delete a record; one that is gone already is as wished."""
    from cloudflare import NotFoundError

    try:
        session.cloud.client.dns.records.delete(record_id, zone_id=session.cloud.zone_id)
    except NotFoundError:
        return


def body(session: Session, want: Record) -> dict[str, Any]:
    """The record as the API takes it, with our mark."""
    content = quoted(want.content) if want.type == "TXT" else want.content
    fields: dict[str, Any] = {"type": want.type, "name": want.name, "ttl": want.ttl, "comment": session.mark}
    if want.type in ADDRESSES:
        fields["proxied"] = want.proxied
    if want.type == "SRV":
        return {**fields, "data": dict(zip(SERVICE, _service(content), strict=True))}
    return {**fields, "content": content}


def _service(content: str) -> list[int | str]:
    """Priority, weight, port and host of a SRV record: one line in DNS, at Cloudflare one by one."""
    *numbers, host = content.split(" ")
    return [*map(int, numbers), host]


def quoted(text: str) -> str:
    """A TXT record's text as DNS has it: strings of at most 255 characters, each in quotation marks."""
    parts = [text[start : start + TXT_STRING] for start in range(0, len(text), TXT_STRING)]
    return " ".join(f'"{part}"' for part in parts)


def joined(content: str) -> str:
    """The text of a TXT record, however its strings are written."""
    if not content.startswith('"'):
        return content
    return "".join(part for number, part in enumerate(content.split('"')) if number % 2)


def _read(record: Any) -> Record:
    content = str(record.content or "")
    if record.type == "SRV" and record.data:
        numbers = [str(int(getattr(record.data, each) or 0)) for each in SERVICE[:-1]]
        content = " ".join([*numbers, str(record.data.target).rstrip(".")])
    return Record(
        type=record.type,
        name=record.name,
        content=joined(content) if record.type == "TXT" else content,
        proxied=bool(record.proxied),
        ttl=int(record.ttl or AUTOMATIC_TTL),
        id=record.id,
        comment=record.comment or "",
        priority=int(getattr(record, "priority", None) or 0),
    )
