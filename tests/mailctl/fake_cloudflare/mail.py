"""Email Routing: settings, what switching it on does to DNS, rules, and destination addresses."""

from fake_cloudflare.state import MX, OWN_SPF, WHEN, Json, Refusal, State, new_id

PRIORITIES = (13, 24, 86)
# https://developers.cloudflare.com/email-service/platform/limits/#email-routing-limits
MOST_RULES, MOST_DESTINATIONS = 200, 200
# https://developers.cloudflare.com/api/resources/email_routing/ (addresses, rules)
LONGEST_ADDRESS, LONGEST_NAME = 90, 256


def settings(state: State) -> Json:
    status = "unconfigured" if not state.routing else "ready" if state.locked else "unlocked"
    times = {"created": WHEN, "modified": WHEN, "skip_wizard": False, "support_subaddress": True}
    return {
        "id": "c" * 32,
        "tag": "c" * 32,
        "name": state.zone,
        "enabled": state.routing,
        "status": status,
        **times,
    }


def switch_on(state: State) -> Json:
    """Add and lock MX, SPF and DKIM; an SPF record that is there is replaced (seen by users of Terraform)."""
    apex = [r for r in state.records.values() if r["name"] == state.zone]
    foreign = [r for r in apex if r["type"] == "MX" and r["content"] not in MX]
    if foreign and state.foreign_mx == "refuse":
        raise Refusal(409, 2013, "Existing MX records conflict with Email Routing.")
    for record in foreign if state.foreign_mx == "replace" else []:
        state.records.pop(record["id"])
    for record in [r for r in apex if r["type"] == "TXT" and r["content"].strip('"').startswith("v=spf1")]:
        state.records.pop(record["id"], None)
    present = {r["content"] for r in state.records.values() if r["type"] == "MX" and r["name"] == state.zone}
    managed = {"meta": {"email_routing": True, "read_only": True}}
    # Added without a look at MX in between: at Cloudflare this is one change.
    new = [("MX", state.zone, server, priority) for server, priority in zip(MX, PRIORITIES, strict=True)]
    for kind, name, content, priority in new:
        if content not in present:
            _add(state, {"type": kind, "name": name, "content": content, "priority": priority, **managed})
    _add(state, {"type": "TXT", "name": state.zone, "content": OWN_SPF, **managed})
    selector = f"cf2024-1._domainkey.{state.zone}"
    if not any(r["name"] == selector for r in state.records.values()):
        _add(
            state,
            {"type": "TXT", "name": selector, "content": '"v=DKIM1; h=sha256; k=rsa; p=MIIB"', **managed},
        )
    state.routing = state.locked = True
    state.saw_mx()
    return settings(state)


def _add(state: State, fields: Json) -> None:
    seen = list(state.mx_seen)
    state.add_record(**fields)
    state.mx_seen = seen


def unlock(state: State) -> Json:
    state.locked = False
    return settings(state)


def catch_all(state: State) -> Json:
    return state.catch_all


def set_catch_all(state: State, body: Json) -> Json:
    _judge(state, body)
    state.catch_all.update(body)
    return state.catch_all


def rules(state: State) -> list[Json]:
    """The catch-all stands among them, last."""
    return [*state.rules.values(), {**state.catch_all, "priority": 2147483647}]


def create_rule(state: State, body: Json) -> Json:
    _judge(state, body)
    if any(rule["matchers"] == body["matchers"] for rule in state.rules.values()):
        raise Refusal(409, 2014, "Duplicated Zone rule")
    if len(state.rules) >= MOST_RULES:
        # Its code is unknown.
        raise Refusal(400, 2021, "too many rules")
    rule = {"id": new_id(), "tag": new_id(), "priority": 0, "enabled": True, **body}
    state.rules[rule["id"]] = rule
    return rule


def update_rule(state: State, rule_id: str, body: Json) -> Json:
    _judge(state, body)
    find_rule(state, rule_id).update(body)
    return state.rules[rule_id]


def delete_rule(state: State, rule_id: str) -> Json:
    find_rule(state, rule_id)
    return state.rules.pop(rule_id)


def find_rule(state: State, rule_id: str) -> Json:
    if rule_id not in state.rules:
        raise Refusal(404, 2022, "Invalid rule operation")
    return state.rules[rule_id]


def _judge(state: State, body: Json) -> None:
    if state.rules_need_routing and not state.routing:
        raise Refusal(400, 2008, "Email Routing is not enabled for this zone")
    for action in body["actions"]:
        if action["type"] == "worker" and action["value"][0] not in state.scripts:
            raise Refusal(400, 2045, "Worker does not exist")
        if action["type"] == "forward" and len(action.get("value", [])) != 1:
            # https://developers.cloudflare.com/api/resources/email_routing/subresources/rules/methods/create/
            raise Refusal(
                422, 2007, "Invalid Input. Forward actions must contain exactly one destination address."
            )
        if action["type"] == "forward" and not state.confirmed(action["value"][0]):
            # https://github.com/cloudflare/terraform-provider-cloudflare/pull/7032
            raise Refusal(400, 2054, "Destination address is not verified")
    values = [matcher.get("value", "") for matcher in body["matchers"]]
    if len(body["name"]) > LONGEST_NAME or any(len(value) > LONGEST_ADDRESS for value in values):
        raise Refusal(422, 2007, "Invalid Input")


def destinations(state: State) -> list[Json]:
    return list(state.destinations.values())


def create_destination(state: State, body: Json) -> Json:
    """Cloudflare mails a link to it; `state.confirm(address)` is the click."""
    email = body["email"]
    if len(email) > LONGEST_ADDRESS or email.count("@") != 1:
        raise Refusal(422, 2007, "Invalid Input")
    if email.lower() in state.destinations or len(state.destinations) >= MOST_DESTINATIONS:
        # What it answers to these is unknown.
        raise Refusal(409, 2032, "the destination address is there, or there are too many")
    return state.add_destination(email)


def delete_destination(state: State, destination_id: str) -> Json:
    """https://developers.cloudflare.com/api/resources/email_routing/subresources/addresses/methods/delete/"""
    for email, destination in state.destinations.items():
        if destination["id"] == destination_id:
            return state.destinations.pop(email)
    # What it answers to an unknown one is not documented.
    raise Refusal(404, 2032, "no such destination address")
