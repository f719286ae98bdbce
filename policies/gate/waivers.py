"""The exceptions in policy.yml: rule, place, reason, owner, end. Used ones are reported; all others stop the
gate.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Collection
from dataclasses import dataclass, replace

from policies.gate import catalogue
from policies.gate.run import Report
from policies.gate.schemas import errors
from policies.model import Finding, Place, Problem
from policies.shared.located import dig, sequence, where
from policies.shared.repository import Repository

FILE = "policy.yml"
#: An exception is looked at again at least once a year.
LONGEST = datetime.timedelta(days=366)


@dataclass(frozen=True)
class Waiver:
    """One exception. `place` is file#entity for one setting, for instance docker-compose.yml#postfix/memory,
    or a file for what has no entity.
    """

    rule: str
    place: str
    reason: str
    owner: str
    expires: datetime.date
    at: Place

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is the one that was waived."""
        return self.rule == finding.rule and self.place == place_of(finding)


def place_of(finding: Finding) -> str:
    """Return the place of a finding as the narrowest waiver writes it."""
    return f"{finding.place.file}#{finding.entity}" if finding.entity else finding.place.file


def read(repository: Repository, today: datetime.date) -> tuple[list[Waiver], list[Problem]]:
    """Return the waivers that can be read and hold, and why others do not."""
    found: list[Waiver] = []
    problems: list[Problem] = []
    for document in repository.yaml(FILE) if FILE in repository.files else ():
        wrong = [] if document is None else errors("policy", document, Place(FILE))
        problems += [Problem("policy-invalid", each.place, each.what, each.should) for each in wrong]
        for number, entry in enumerate(sequence(dig(document, "waivers"))):
            at = where(document, "waivers", number, "expires")
            try:
                texts = [str(entry[key]) for key in ("rule", "place", "reason", "owner")]
                day = datetime.date.fromisoformat(str(entry["expires"]))
            except (KeyError, TypeError, ValueError):
                what = f"expires is {dig(entry, 'expires')}, and the calendar has no such day"
                fix = "write a day that exists, as 2027-01-31"
                problems += [] if wrong else [Problem("waiver-invalid", at, what, fix)]
                continue
            waiver = Waiver(*texts, day, where(document, "waivers", number))
            if waiver.expires <= today + LONGEST:
                found.append(waiver)
                continue
            said = f"the waiver ends on {waiver.expires}, more than a year ahead"
            fix = f"name a day up to {today + LONGEST}; then somebody decides again"
            problems.append(Problem("waiver-too-long", at, said, fix))
    return found, problems + repository.problems


def apply(
    report: Report, waivers: list[Waiver], known: Collection[str], ran: Collection[str], today: datetime.date
) -> None:
    """Move waived findings aside. `known` are all ids, `ran` those that were looked for in this run."""
    used: set[Waiver] = set()
    found, kept = report.findings, []
    for finding in found:
        covering = [each for each in waivers if each.expires >= today and each.covers(finding)]
        used.update(covering)
        if covering:
            first = covering[0]
            said = f"{first.reason} ({first.owner}, until {first.expires})"
            report.waived.append(replace(finding, waived=said))
        else:
            kept.append(finding)
    report.findings = kept
    for waiver in waivers:
        what = f"{waiver.rule} at {waiver.place}"
        if waiver.rule not in known:
            fix = catalogue.meant(waiver.rule, known)
            problem = "waiver-unknown", waiver.at, f"there is no rule {waiver.rule}", fix
        elif waiver.expires < today:
            text = f"the waiver of {what} ended on {waiver.expires}"
            problem = "waiver-expired", waiver.at, text, "fix the finding, or decide again, with a new end"
        elif waiver.rule in ran and waiver not in used:
            problem = "waiver-unused", waiver.at, f"nothing to waive: {what}", _instead(waiver, found)
        else:
            continue
        report.problems.append(Problem(*problem))


def _instead(waiver: Waiver, found: list[Finding]) -> str:
    """Return what to do about a waiver of nothing: its place may be mistyped."""
    places = list(dict.fromkeys(place_of(each) for each in found if each.rule == waiver.rule))
    near = difflib.get_close_matches(waiver.place, places, 3, 0)
    return f"remove the waiver; the rule speaks at {', '.join(near)}" if near else "remove the waiver"
