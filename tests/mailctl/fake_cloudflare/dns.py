"""Zones and their DNS records."""

from fake_cloudflare.state import ACCOUNT, WHEN, ZONE_ID, Json, Refusal, State

SERVICE = ("priority", "weight", "port", "target")
FIELDS = frozenset({"data", "type", "name", "content", "ttl", "proxied", "comment", "priority"})
ADDRESSES = ("A", "AAAA", "CNAME")
COMMENT_LIMIT = 100
SAME_NAME = (
    "For more details, refer to "
    "<https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/>."
)


def zones(state: State, query: Json) -> list[Json]:
    meta = {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False}
    zone = {"id": ZONE_ID, "name": state.zone, "account": {"id": ACCOUNT, "name": "Acme"}, "meta": meta}
    zone |= {
        "created_on": WHEN,
        "modified_on": WHEN,
        "activated_on": WHEN,
        "development_mode": 0,
        "status": "active",
    }
    zone |= {
        "owner": {},
        "name_servers": [],
        "original_name_servers": [],
        "original_registrar": "",
        "original_dnshost": "",
    }
    zone |= {"plan": {}, "type": "full", "paused": False, "permissions": []}
    return [zone] if query.get("name") in (None, state.zone) else []


def listed(state: State) -> list[Json]:
    return list(state.records.values())


def create(state: State, body: Json) -> Json:
    body = _completed(body)
    _judge(state, body)
    _judge_place(state, body, None)
    return state.add_record(**body)


def edit(state: State, record_id: str, body: Json) -> Json:
    record, body = find(state, record_id), _completed(body)
    _judge(state, body)
    if state.locked and record["meta"].get("email_routing"):
        raise _managed()
    if body["type"] != record["type"]:
        raise Refusal(400, 9009, "DNS record type cannot be changed")
    _judge_place(state, body, record_id)
    record.update(body)
    state.saw_mx()
    return record


def _completed(body: Json) -> Json:
    """A SRV record has its parts, from which the server writes its priority and its content."""
    if body["type"] != "SRV":
        return body
    if "content" in body or set(body.get("data") or {}) != set(SERVICE):
        raise Refusal(400, 9101, "DNS Validation Error: a SRV record needs data, and nothing else")
    data = body["data"]
    content = f"{data['weight']}\t{data['port']}\t{data['target']}"
    return {**body, "priority": data["priority"], "content": content}


def delete(state: State, record_id: str) -> Json:
    record = find(state, record_id)
    if state.locked and record["meta"].get("email_routing"):
        raise _managed()
    del state.records[record_id]
    state.saw_mx()
    return {"id": record_id}


def batch(state: State, body: Json) -> Json:
    """Deletes before posts, and all or nothing, as one transaction."""
    before, seen = dict(state.records), list(state.mx_seen)
    try:
        deletes = [find(state, entry["id"]) for entry in body.get("deletes", [])]
        for record in deletes:
            delete(state, record["id"])
        posts = [create(state, entry) for entry in body.get("posts", [])]
    except Refusal:
        state.records, state.mx_seen = before, seen
        raise
    state.mx_seen = seen
    state.saw_mx()
    return {"deletes": deletes, "posts": posts, "patches": [], "puts": []}


def find(state: State, record_id: str) -> Json:
    if record_id not in state.records:
        raise Refusal(404, 81044, "Record does not exist.")
    return state.records[record_id]


def _managed() -> Refusal:
    text = "This record is managed by Email Routing. Disable Email Routing to modify/remove this record."
    return Refusal(403, 1046, text)


def _judge(state: State, body: Json) -> None:
    inside = body["name"] == state.zone or body["name"].endswith(f".{state.zone}")
    if not inside or not body.get("content") or len(body.get("comment") or "") > COMMENT_LIMIT:
        raise Refusal(400, 1004, "DNS Validation Error")
    if body["type"] == "MX" and "priority" not in body:
        raise Refusal(400, 1004, "DNS Validation Error: MX records need a priority")
    if body["type"] == "TXT" and any(len(part) > 255 for part in body["content"].split('"')[1::2]):
        raise Refusal(400, 1004, "DNS Validation Error: a string of a TXT record is at most 255 characters")
    if body["type"] == "MX" and body["name"] == state.zone and state.routing and state.locked:
        raise Refusal(
            403,
            890190,
            "This zone is managed by Email Routing. Disable Email Routing to add/modify MX records.",
        )


def _judge_place(state: State, body: Json, own: str | None) -> None:
    others = [r for r in state.records.values() if r["id"] != own and r["name"] == body["name"]]
    if any(r["type"] == body["type"] and r["content"] == body["content"] for r in others):
        raise Refusal(400, 81058, "An identical record already exists.")
    kinds = {r["type"] for r in others}
    if body["type"] == "CNAME" and kinds & set(ADDRESSES):
        raise Refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
    if ("CNAME" in kinds and body["type"] in ADDRESSES) or _beside_alias(state, body, others):
        raise Refusal(400, 81054, f"A CNAME record with that host already exists. {SAME_NAME}")


def _beside_alias(state: State, body: Json, others: list[Json]) -> bool:
    """Whether a CNAME that resolvers get to see would have another record at its name."""
    seen = any(state.is_alias(record) for record in (body, *others))
    return state.aliases_are_alone and seen and len(others) > 0
