"""One mistake, one finding: where a rule of ours speaks, a general check that says the same is left out."""

from __future__ import annotations

import posixpath

from policies.model import Finding
from policies.shared.tables import table


def _folder(finding: Finding) -> str:
    return posixpath.dirname(finding.place.file)


def without_repeats(findings: list[Finding]) -> list[Finding]:
    """Return the findings without those that a rule of ours states as well."""
    checkov, audits, schemas = (table("repeats")[part] for part in ("checkov", "audits", "schemas"))
    folders = {(each.rule, _folder(each)) for each in findings}
    files = {(each.rule, each.place.file) for each in findings}
    entities = {(each.rule, each.entity) for each in findings if each.entity}

    def repeated(finding: Finding) -> bool:
        audit = audits.get(finding.rule, {}).get(finding.entity, ())
        return (
            any((rule, _folder(finding)) in folders for rule in checkov.get(finding.rule, ()))
            or any((rule, finding.place.file) in files for rule in audit)
            or any((rule, finding.entity) in entities for rule in schemas.get(finding.rule, ()))
        )

    return [each for each in findings if not repeated(each)]
