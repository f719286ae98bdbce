"""What other servers report about our domains, to read."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from usermgmt.api import schemas
from usermgmt.api.access import blueprint, permitted
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import domain_reports


class ReportPage(schemas.Page):
    """Of reports; q is text in the domain's name."""

    class Meta:
        exclude = ("exact",)


class DomainReport(Schema):
    """One report: a claim of its reporter, whose domain DMARC has proven."""

    id = fields.Integer()
    domain = fields.String(attribute="domain.name")
    kind = fields.String(metadata={"enum": ["dmarc", "tls"]})
    reporter = fields.String()
    day = fields.Date()
    received_at = schemas.Moment()
    policy = fields.String()
    rows = fields.List(
        fields.Nested(
            Schema.from_dict(
                {**{name: fields.String() for name in domain_reports.COLUMNS}, "count": fields.Integer()},
                name="DomainReportRow",
            )
        )
    )


@blueprint.get("/reports")
@blueprint.arguments(ReportPage, location="query")
@blueprint.response(200, schemas.listed(DomainReport))
@permits("report.list")
def list_reports(query: dict[str, Any]) -> schemas.Listed:
    """Some of the reports of the last 13 months, newest first."""
    with database().transaction() as db:
        found = domain_reports.find(db, permitted(), query["q"], schemas.window(query))
        return schemas.part_of(found, query)
