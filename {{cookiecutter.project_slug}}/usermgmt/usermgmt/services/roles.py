"""What an admin administers: everything, or some domains."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address, parse_domain
from usermgmt.models import DOMAIN_ADMIN, OWNER, Admin, utc_now
from usermgmt.problems import Collector, Missing, Problem, Refused
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import find_domain


def refuse_without_owner(session: Session, admin: Admin) -> None:
    """Refuse to take `admin` from the owners if nobody else could do everything then; locks the owners."""
    owners = select(Admin).where(Admin.role == OWNER, Admin.active).with_for_update()
    if [row.id for row in session.scalars(owners)] == [admin.id]:
        wrong, instead = "This is the last owner.", "Make somebody else an owner first."
        raise Refused(Problem("email", admin.email, wrong, instead))


def set_domains(session: Session, actor: Actor, email: str, names: Iterable[str]) -> Admin:
    """Let an admin administer these domains only; with no names, everything. Raises Missing or Refused."""
    admin = session.scalar(select(Admin).where(Admin.email == parse_address(email, "email")))
    if admin is None:
        raise Missing(Problem("email", email, "There is no such admin.", "Use `admin add` to create one."))
    wrong, found = Collector(), []
    for name in names:
        with wrong:
            domain = find_domain(session, parse_domain(name, "domain"))
            if domain is None:
                raise Refused(
                    Problem("domain", name, "There is no such domain.", "Choose one from the list.")
                )
            found.append(domain)
    wrong.check()
    before = [domain.name for domain in admin.domains]
    if found:
        refuse_without_owner(session, admin)
    admin.role, admin.domains = (DOMAIN_ADMIN if found else OWNER), found
    admin.sessions_ended_at = utc_now()
    after = [domain.name for domain in found]
    record(session, actor, "admin.domains", admin.email, before=before, after=after)
    return admin
