"""Admins, for the command line alone: no token has a scope for them."""

from __future__ import annotations

from typing import Any

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, created, expect, tagged
from usermgmt.api.once import creates
from usermgmt.models import Admin
from usermgmt.parts import database, parts
from usermgmt.passwords import generate_password
from usermgmt.permit import permits
from usermgmt.services import admins, roles
from usermgmt.services.listing import Order, named, part

Found = tuple[Admin, dict[str, str]]
FoundWithPassword = tuple[dict[str, Any], dict[str, str]]


@blueprint.get("/admins")
@blueprint.arguments(schemas.Page, location="query")
@blueprint.response(200, schemas.listed(schemas.Admin))
@permits("admin.manage")
def list_admins(query: dict[str, Any]) -> schemas.Listed:
    """Some of the admins."""
    ids = named(Admin.email, query["q"], query["exact"])
    with database().transaction() as db:
        return schemas.part_of(part(db, ids, Order("email", Admin.email), schemas.window(query)), query)


@blueprint.post("/admins")
@blueprint.arguments(schemas.NewAdmin)
@blueprint.response(201, schemas.AdminWithPassword)
@creates
@permits("admin.manage")
def add_admin(body: dict[str, Any]) -> FoundWithPassword:
    """Let somebody administer everything, or some domains."""
    generated = generate_password() if body["password"] is None else None
    password = generated or body["password"]
    with database().transaction() as db:
        admin = admins.add_admin(db, actor(), parts().hasher, body["email"], password)
        roles.set_role(db, actor(), admin, body["role"], body["domains"])
    return {"admin": admin, "password": generated}, created(f"/admins/{admin.id}", admin.version)


@blueprint.get("/admins/<int:admin_id>")
@blueprint.response(200, schemas.Admin)
@permits("admin.manage")
def get_admin(admin_id: int) -> Found:
    """One admin."""
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
    return admin, tagged(admin.version)


@blueprint.patch("/admins/<int:admin_id>")
@blueprint.arguments(schemas.AdminChange)
@blueprint.response(200, schemas.Admin)
@permits("admin.manage")
def change_admin(body: dict[str, Any], admin_id: int) -> Found:
    """Change what an admin may do, which ends their sessions."""
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
        expect(admin.version, admin.email)
        roles.set_role(db, actor(), admin, body["role"], body["domains"])
    return admin, tagged(admin.version)


def switch(admin_id: int, active: bool) -> Found:
    """Enable or disable."""
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
        expect(admin.version, admin.email)
        roles.set_admin_active(db, actor(), admin, active)
    return admin, tagged(admin.version)


@blueprint.post("/admins/<int:admin_id>/enable")
@blueprint.response(200, schemas.Admin)
@permits("admin.manage")
def enable_admin(admin_id: int) -> Found:
    """Let an admin log in again."""
    return switch(admin_id, True)


@blueprint.post("/admins/<int:admin_id>/disable")
@blueprint.response(200, schemas.Admin)
@permits("admin.manage")
def disable_admin(admin_id: int) -> Found:
    """Refuse an admin's log-ins, sessions and tokens."""
    return switch(admin_id, False)


@blueprint.post("/admins/<int:admin_id>/reset")
@blueprint.arguments(schemas.NewPassword)
@blueprint.response(200, schemas.AdminWithPassword)
@permits("admin.manage")
def reset_admin(body: dict[str, Any], admin_id: int) -> FoundWithPassword:
    """Set a new password, enable the admin, turn the second factor off; sessions and tokens end."""
    generated = generate_password() if body["password"] is None else None
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
        expect(admin.version, admin.email)
        password = generated or body["password"]
        admins.reset_admin(db, actor(), parts().hasher, admin.email, password)
    return {"admin": admin, "password": generated}, tagged(admin.version)


@blueprint.delete("/admins/<int:admin_id>")
@blueprint.response(204)
@permits("admin.manage")
def delete_admin(admin_id: int) -> None:
    """Delete an admin; the last owner stays."""
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
        expect(admin.version, admin.email)
        admins.remove_admin(db, actor(), admin_id)
