"""The one file of exceptions: rule, place, reason, owner, end. Used ones are reported; all others stop the
gate.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass, replace

from policies.gate.run import Report
from policies.gate.schemas import errors
from policies.model import Finding, Place, Problem
from policies.sources.located import Map, dig, sequence, where
from policies.sources.repository import Repository

FILE = "policies-waivers.yml"


@dataclass(frozen=True)
class Waiver:
    """One exception. `place` is a file, or file#entity for one thing in it, for instance
    docker-compose.yml#postfix.
    """

    rule: str
    place: str
    reason: str
    owner: str
    expires: datetime.date
    at: Place

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is the one that was waived."""
        file, sign, entity = self.place.partition("#")
        return (self.rule, file) == (finding.rule, finding.place.file) and (
            not sign or entity == finding.entity
        )


def read(repository: Repository) -> tuple[list[Waiver], list[Problem]]:
    """Return the waivers that can be read, and why others cannot."""
    if FILE not in repository.files:
        return [], []
    found, problems = [], []
    for document in repository.yaml(FILE):
        wrong = errors("waivers", document, Place(FILE))
        problems += [Problem("waiver-invalid", each.place, each.what, each.should) for each in wrong]
        for number, entry in enumerate(sequence(dig(document, "waivers"))):
            try:
                texts = [str(entry[key]) for key in ("rule", "place", "reason", "owner")]
                expires = datetime.date.fromisoformat(str(entry["expires"]))
            except (KeyError, TypeError, ValueError) as error:
                if not wrong:
                    problems.append(
                        Problem(
                            "waiver-invalid",
                            where(document, "waivers", number),
                            str(error),
                            "write a date as 2027-01-31",
                        )
                    )
                continue
            at = entry.place if isinstance(entry, Map) else Place(FILE)
            found.append(Waiver(*texts, expires, at))
    return found, problems


def apply(
    report: Report, waivers: list[Waiver], known: Collection[str], ran: Collection[str], today: datetime.date
) -> None:
    """Move waived findings aside. `known` are all ids there are, `ran` those that were looked for in this
    run.
    """
    used: set[Waiver] = set()
    kept = []
    for finding in report.findings:
        waiver = next((each for each in waivers if each.expires >= today and each.covers(finding)), None)
        if waiver is None:
            kept.append(finding)
        else:
            used.add(waiver)
            report.waived.append(
                replace(finding, waived=f"{waiver.reason} ({waiver.owner}, until {waiver.expires})")
            )
    report.findings = kept
    for waiver in waivers:
        what = f"{waiver.rule} at {waiver.place}"
        if waiver.rule not in known:
            report.problems.append(
                Problem(
                    "waiver-unknown", waiver.at, f"there is no rule {waiver.rule}", "name a rule of `--list`"
                )
            )
        elif waiver.expires < today:
            text = f"the waiver of {what} ended on {waiver.expires}"
            report.problems.append(
                Problem("waiver-expired", waiver.at, text, "mend the finding, or decide anew with a new end")
            )
        elif waiver.rule in ran and waiver not in used:
            report.problems.append(
                Problem("waiver-unused", waiver.at, f"nothing to waive: {what}", "remove the waiver")
            )
