"""Domains."""

from __future__ import annotations

from typing import Any

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, created, expect, permitted, tagged
from usermgmt.api.once import creates
from usermgmt.models import Domain
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.services import dns, domains
from usermgmt.services.listing import Order, named, part, within

Found = tuple[Domain, dict[str, str]]


@blueprint.get("/domains")
@blueprint.arguments(schemas.Page, location="query")
@blueprint.response(200, schemas.listed(schemas.Domain))
@permits("domain.list")
def list_domains(query: dict[str, Any]) -> schemas.Listed:
    """Some of the domains."""
    ids = within(named(Domain.name, query["q"], query["exact"]), Domain.id, permitted())
    with database().transaction() as db:
        return schemas.part_of(part(db, ids, Order("name", Domain.name), schemas.window(query)), query)


@blueprint.post("/domains")
@blueprint.arguments(schemas.NewDomain)
@blueprint.response(201, schemas.Domain)
@creates
@permits("domain.add")
def add_domain(body: dict[str, Any]) -> Found:
    """Accept mail for a domain."""
    with database().transaction() as db:
        domain = domains.add_domain(db, actor(), body["name"])
    return domain, created(f"/domains/{domain.id}", domain.version)


@blueprint.get("/domains/<int:domain_id>")
@blueprint.response(200, schemas.Domain)
@permits("domain.list")
def get_domain(domain_id: int) -> Found:
    """One domain."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
    return domain, tagged(domain.version)


@blueprint.patch("/domains/<int:domain_id>")
@blueprint.arguments(schemas.DomainChange)
@blueprint.response(200, schemas.Domain)
@permits("domain.change")
def change_domain(body: dict[str, Any], domain_id: int) -> Found:
    """Change limits; what is left out stays."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
        expect(domain.version, domain.name)
        entered = {name: "" if value is None else str(value) for name, value in body.items()}
        domains.change_domain(db, actor(), domain_id, entered)
    return domain, tagged(domain.version)


def switch(domain_id: int, active: bool) -> Found:
    """Enable or disable."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
        expect(domain.version, domain.name)
        domains.set_domain_active(db, actor(), domain_id, active)
    return domain, tagged(domain.version)


@blueprint.post("/domains/<int:domain_id>/enable")
@blueprint.response(200, schemas.Domain)
@permits("domain.switch")
def enable_domain(domain_id: int) -> Found:
    """Accept its mail again."""
    return switch(domain_id, True)


@blueprint.post("/domains/<int:domain_id>/disable")
@blueprint.response(200, schemas.Domain)
@permits("domain.switch")
def disable_domain(domain_id: int) -> Found:
    """Refuse its mail, and the log-ins of its mailboxes."""
    return switch(domain_id, False)


@blueprint.get("/domains/<int:domain_id>/dns")
@blueprint.response(200, schemas.DomainDns)
@permits("domain.list")
def get_domain_dns(domain_id: int) -> dict[str, Any]:
    """The DNS records that it needs, and what public DNS said of them."""
    with database().transaction() as db:
        found = dns.status_of(db, domains.get_domain(db, domain_id), parts().settings.edge_file)
    if found is None:
        return {"managed": False, "checked_at": None, "records": None}
    checked_at = found.checked.checked_at if found.checked else None
    return {"managed": found.managed, "checked_at": checked_at, "records": found.records}


@blueprint.put("/domains/<int:domain_id>/dns")
@blueprint.arguments(schemas.DnsLook)
@blueprint.response(204)
@permits("domain.change")
def set_domain_dns(body: dict[str, Any], domain_id: int) -> None:
    """Keep what public DNS says of its records now, for its page."""
    with database().transaction() as db:
        dns.keep(db, domains.get_domain(db, domain_id), body["records"])


@blueprint.delete("/domains/<int:domain_id>")
@blueprint.response(204)
@permits("domain.delete")
def delete_domain(domain_id: int) -> None:
    """Delete a domain that holds nothing."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
        expect(domain.version, domain.name)
        domains.delete_domain(db, actor(), domain_id)
