"""Reads aggregate reports: XML of RFC 7489, appendix C, and of its successor, which has a namespace."""

from __future__ import annotations

import io
import ipaddress
from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse

from usermgmt.feedback import forms
from usermgmt.feedback.forms import DMARC, Report, Row, Unreadable, name, number

#: A record begins and ends some twenty elements.
MOST_EVENTS, DEEPEST = 400_000, 20
DISPOSITIONS = POLICIES = ("none", "quarantine", "reject")
#: Reasons for which a receiver took mail that failed.
PASSED_ON = ("forwarded", "trusted_forwarder", "mailing_list")
#: The parts of an address that are one network; a sender's servers are neighbours.
V4, V6 = 24, 48


def text(element: Element, path: str) -> str:
    """What is written at a path, in any namespace; nothing if it is not there."""
    return (element.findtext("/".join("{*}" + step for step in path.split("/"))) or "").strip()


def word(element: Element, path: str, known: tuple[str, ...]) -> str:
    """The same, of some known words, else nothing."""
    found = text(element, path).lower()
    return found if found in known else ""


def network(address: str) -> str:
    """The network of an address."""
    known = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((known, V4 if known.version == 4 else V6), strict=False))


def results(record: Element, method: str) -> list[tuple[str, bool]]:
    """The domains that DKIM or SPF looked at, and whether they passed."""
    found = record.findall(f"{{*}}auth_results/{{*}}{method}")
    return [(name(text(each, "domain")), text(each, "result").lower() == "pass") for each in found]


def verdict(record: Element, domain: str) -> tuple[str, str]:
    """How mail fared, and which other domain stands behind it."""
    aligned = [text(record, f"row/policy_evaluated/{method}").lower() == "pass" for method in ("dkim", "spf")]
    signed, envelope = results(record, "dkim"), results(record, "spf")
    others = [one for one, passed in envelope + signed if passed and one and not related(one, domain)]
    about = others[0] if others else ""
    if any(aligned):
        return (forms.BOTH if all(aligned) else forms.SIGNED if aligned[0] else forms.LISTED), about
    if word(record, "row/policy_evaluated/reason/type", PASSED_ON):
        return forms.FORWARDED, about
    if any(related(one, domain) for one, passed in signed if not passed):
        return forms.BROKEN, about
    return (forms.OTHER, about) if about else (forms.NOTHING, next((one for one, _ in envelope if one), ""))


def related(one: str, domain: str) -> bool:
    """Whether a domain is the reported one, or above or below it."""
    return one == domain or one.endswith("." + domain) or domain.endswith("." + one)


def records(data: bytes, root: list[Element]) -> Iterator[Element]:
    """Each record, which is forgotten afterwards; `root` gets the rest."""
    depth = 0
    for count, (event, element) in enumerate(iterparse(io.BytesIO(data), ("start", "end"), forbid_dtd=True)):
        depth += 1 if event == "start" else -1
        if depth > DEEPEST or count > MOST_EVENTS:
            raise Unreadable(f"it has too many elements ({count // 2}), or too many in each other ({depth})")
        if not root:
            root.append(element)
        if event == "end" and element.tag.rpartition("}")[2] == "record":
            yield element
            element.clear()


def read(data: bytes) -> list[Report]:
    """The report in an XML document. Raises Unreadable, and anything that a library does."""
    root: list[Element] = []
    rows: Counter[Row] = Counter()
    for record in records(data, root):
        disposition = word(record, "row/policy_evaluated/disposition", DISPOSITIONS)
        how, about = verdict(record, name(text(root[0], "policy_published/domain")))
        source, shown = network(text(record, "row/source_ip")), name(text(record, "identifiers/header_from"))
        rows[source, shown, how, about, disposition] += number(text(record, "row/count"))
    begins, ends = (number(text(root[0], f"report_metadata/date_range/{end}")) for end in ("begin", "end"))
    domain, policy = text(root[0], "policy_published/domain"), word(root[0], "policy_published/p", POLICIES)
    report_id = text(root[0], "report_metadata/report_id")
    return [forms.report(DMARC, domain, report_id, (begins, ends), policy, rows)]
