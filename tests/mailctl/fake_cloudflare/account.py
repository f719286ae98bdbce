"""What belongs to the account: tunnels and Access."""

import secrets

from fake_cloudflare.state import ACCOUNT, WHEN, Json, Refusal, State, new_id


def tunnels(state: State, query: Json) -> list[Json]:
    found = [_shown(t) for t in state.tunnels.values()]
    return [t for t in found if query.get("name") in (None, t["name"])]


def create_tunnel(state: State, body: Json) -> Json:
    if any(t["name"] == body["name"] for t in state.tunnels.values()):
        raise Refusal(409, 1013, "You already have a tunnel with this name.")
    raw = new_id()
    tunnel = "-".join([raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]])
    state.tunnels[tunnel] = {
        "id": tunnel,
        "name": body["name"],
        "secret": secrets.token_hex(32),
        "config": None,
    }
    return _shown(state.tunnels[tunnel])


def tunnel(state: State, tunnel_id: str) -> Json:
    if tunnel_id not in state.tunnels:
        raise Refusal(404, 1003, "Tunnel not found")
    return state.tunnels[tunnel_id]


def configuration(state: State, tunnel_id: str) -> Json:
    config = tunnel(state, tunnel_id)["config"]
    return {"tunnel_id": tunnel_id, "version": 1 if config else 0, "config": config, "source": "cloudflare"}


def configure(state: State, tunnel_id: str, body: Json) -> Json:
    rows = body["config"]["ingress"]
    if not rows or "hostname" in rows[-1] or any("hostname" not in row for row in rows[:-1]):
        raise Refusal(400, 1056, "Bad Configuration: the last ingress rule must match everything")
    for row in rows:
        _check_access(row.get("originRequest", {}).get("access"))
    tunnel(state, tunnel_id)["config"] = body["config"]
    return configuration(state, tunnel_id)


def _check_access(access: Json | None) -> None:
    """What cloudflared verifies; a team or an audience that does not exist is taken, and lets nobody in."""
    if access is None:
        return
    named = isinstance(access.get("teamName"), str) and all(isinstance(aud, str) for aud in access["audTag"])
    if set(access) != {"required", "teamName", "audTag"} or not named:
        raise Refusal(400, 1056, "Bad Configuration: originRequest.access")


def _shown(tunnel: Json) -> Json:
    return {
        "id": tunnel["id"],
        "name": tunnel["name"],
        "account_tag": ACCOUNT,
        "created_at": WHEN,
        "status": "inactive",
    }


def team(state: State) -> Json:
    if state.team is None:
        raise Refusal(
            403, 9999, "access.api.error.not_enabled: Access is not enabled. Visit the Access dashboard"
        )
    return state.team


def create_team(state: State, body: Json) -> Json:
    if state.team is not None:
        raise Refusal(409, 12132, "access.api.error.organization_already_exists")
    state.team = {"name": body["name"], "auth_domain": body["auth_domain"]}
    return state.team


def create_login(state: State, body: Json) -> Json:
    login = {"id": new_id(), **body}
    state.logins[login["id"]] = login
    return login


def create_application(state: State, body: Json) -> Json:
    """Twice the same domain is allowed: nothing guards against a repeated call."""
    return _put_application(state, new_id(), body)


def update_application(state: State, app_id: str, body: Json) -> Json:
    find_application(state, app_id)
    return _put_application(state, app_id, body)


def delete_application(state: State, app_id: str) -> Json:
    del state.applications[find_application(state, app_id)["id"]]
    return {"id": app_id}


def find_application(state: State, app_id: str) -> Json:
    if app_id not in state.applications:
        raise Refusal(404, 11021, "access.api.error.unknown_application")
    return state.applications[app_id]


def _put_application(state: State, app_id: str, body: Json) -> Json:
    team(state)
    for policy in body["policies"]:
        if set(policy) != {"name", "decision", "include", "precedence"}:
            raise Refusal(400, 12130, "access.api.error.invalid_request: policies")
    aud = state.applications.get(app_id, {}).get("aud") or new_id() + new_id()
    state.applications[app_id] = {"id": app_id, "aud": aud, **body}
    return state.applications[app_id]
