"""Mails with reports, in the forms in which the large receivers send them; written for these tests."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from email.message import EmailMessage
from typing import Any

DAY = 24 * 3600
BEGIN = int(time.time()) // DAY * DAY - DAY


def record(
    source: str = "192.0.2.9",
    count: object = 3,
    dkim: str = "pass",
    spf: str = "pass",
    signed: tuple[str, str] = ("example.org", "pass"),
    envelope: tuple[str, str] = ("example.org", "pass"),
    reason: str = "",
) -> str:
    """One record of a DMARC report."""
    because = f"<reason><type>{reason}</type><comment/></reason>" if reason else ""
    return f"""<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated>
    <disposition>none</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>{because}</policy_evaluated></row>
    <identifiers><header_from>example.org</header_from></identifiers><auth_results>
    <dkim><domain>{signed[0]}</domain><result>{signed[1]}</result><selector>s1</selector></dkim>
    <spf><domain>{envelope[0]}</domain><result>{envelope[1]}</result></spf></auth_results></record>"""


def dmarc(
    *records: str,
    number: str = "1",
    begin: object = BEGIN,
    days: int = 1,
    domain: str = "example.org",
    p: str = "none",
) -> str:
    """A DMARC report, usually of a day."""
    end = begin + days * DAY - 1 if isinstance(begin, int) else begin
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
    <feedback><report_metadata><org_name>reporter.example</org_name><email>dmarc@reporter.example</email>
    <report_id>{number}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range></report_metadata>
    <policy_published><domain>{domain}</domain><adkim>r</adkim><aspf>r</aspf><p>{p}</p><sp>none</sp><pct>100</pct>
    </policy_published>{"".join(records or (record(),))}</feedback>"""


def with_namespace(report: str) -> str:
    """The same as RFC 7489's successor has it."""
    return report.replace("<feedback>", '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">')


def tls(domain: str = "example.org", **changes: Any) -> str:
    """A TLS report of a day."""
    moments = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (BEGIN, BEGIN + DAY - 1)]
    detail = {
        "result-type": "certificate-expired",
        "sending-mta-ip": "2001:db8::1",
        "receiving-mx-hostname": "route1.mx.example",
        "failed-session-count": 2,
    }
    policy = {
        "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": domain},
        "summary": {"total-successful-session-count": 40, "total-failure-session-count": 3},
        "failure-details": [detail],
    }
    return json.dumps(
        {
            "organization-name": "Reporter",
            "date-range": {"start-datetime": moments[0], "end-datetime": moments[1]},
            "contact-info": "tls@reporter.example",
            "report-id": "tls-1",
            "policies": [policy],
            **changes,
        }
    )


def zipped(*contents: str | bytes) -> bytes:
    """Each as a file of an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"reporter.example!example.org!{number}.xml", content)
    return packed.getvalue()


def gzipped(content: str) -> bytes:
    return gzip.compress(content.encode())


def mail(
    content: bytes,
    filename: str,
    kind: str = "application/octet-stream",
    sender: str = "noreply@reporter.example",
    subject: str = "Report Domain: example.org",
) -> bytes:
    """A mail with that attached."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, "postmaster@example.org", subject
    made.set_content("This is an aggregate report.\n")
    main, _, sub = kind.partition("/")
    made.add_attachment(content, main, sub, filename=filename)
    return made.as_bytes()
