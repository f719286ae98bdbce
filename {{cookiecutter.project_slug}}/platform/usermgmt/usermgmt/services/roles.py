"""What an admin administers: everything, or some domains."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_domain
from usermgmt.models import DOMAIN_ADMIN, OWNER, Admin, Domain, utc_now
from usermgmt.problems import Collector, InUse, Problem, Refused
from usermgmt.services.audit import Actor, record, refuse_outdated
from usermgmt.services.directory import find_domain


def refuse_without_owner(session: Session, admin: Admin) -> None:
    """Refuse to take `admin` from the owners if nobody else could do everything then; locks the owners."""
    owners = select(Admin).where(Admin.role == OWNER, Admin.active).with_for_update()
    if [row.id for row in session.scalars(owners)] == [admin.id]:
        wrong, instead = "This is the last owner.", "Make somebody else an owner first."
        raise InUse(Problem("email", admin.email, wrong, instead))


def find_domains(session: Session, names: Iterable[str]) -> list[Domain]:
    """The domains with these names; raises Refused for all that are not here."""
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
    return found


def set_role(
    session: Session, actor: Actor, admin: Admin, role: str, names: Iterable[str], seen: int | None = None
) -> None:
    """Make somebody an owner, or an admin of these domains. Raises Refused or Conflict."""
    if role not in (OWNER, DOMAIN_ADMIN):
        wrong, instead = "There is no such role.", "Choose one from the list."
        raise Refused(Problem("role", role, wrong, instead))
    found = find_domains(session, names) if role == DOMAIN_ADMIN else []
    if role == DOMAIN_ADMIN and not found:
        wrong, instead = "No domain is chosen.", "Choose at least one, or make this admin an owner."
        raise Refused(Problem("domain", "", wrong, instead))
    refuse_outdated("version", admin.email, admin.version, seen)
    give(session, actor, admin, role, found)


def set_admin_active(session: Session, actor: Actor, admin: Admin, active: bool) -> None:
    """Let an admin log in, or stop that, their sessions and their tokens; never the last owner's."""
    if admin.active == active:
        return
    if not active:
        refuse_without_owner(session, admin)
        admin.sessions_ended_at = utc_now()
    admin.active = active
    record(session, actor, "admin.enable" if active else "admin.disable", admin.email)


def give(session: Session, actor: Actor, admin: Admin, role: str, domains: list[Domain]) -> None:
    """Write role and domains, and end the admin's sessions; nothing if they are so already."""
    before, after = [domain.name for domain in admin.domains], [domain.name for domain in domains]
    if (admin.role, sorted(before)) == (role, sorted(after)):
        return
    if role != OWNER:
        refuse_without_owner(session, admin)
    admin.role, admin.domains, admin.sessions_ended_at = role, domains, utc_now()
    record(session, actor, "admin.domains", admin.email, before=before, after=after)
