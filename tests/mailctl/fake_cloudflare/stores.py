"""R2 buckets and KV namespaces."""

import re

from fake_cloudflare.state import WHEN, Json, Refusal, State, new_id

# https://developers.cloudflare.com/r2/api/error-codes/ names the codes of R2 and what a bucket may be called.
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# https://developers.cloudflare.com/r2/buckets/object-lifecycles/
MOST_RULES = 1000
RULE_FIELDS = {"id", "enabled", "conditions", "deleteObjectsTransition", "abortMultipartUploadsTransition"}
RULE_FIELDS |= {"storageClassTransitions"}
# https://developers.cloudflare.com/api/resources/kv/subresources/namespaces/methods/create/ and
# https://developers.cloudflare.com/kv/platform/limits/
LONGEST_TITLE, MOST_NAMESPACES = 512, 1000


def bucket(state: State, name: str) -> Json:
    _entitled(state)
    if name not in state.buckets:
        raise Refusal(404, 10006, "The specified bucket does not exist.")
    return state.buckets[name]


def create_bucket(state: State, body: Json) -> Json:
    _entitled(state)
    name = body["name"]
    if not BUCKET_NAME.fullmatch(name):
        raise Refusal(400, 10005, "The specified bucket name is not valid.")
    if name in state.buckets:
        raise Refusal(409, 10073, "The bucket you tried to create already exists, and you own it.")
    state.add_bucket(name)
    fields = {"location": "ENAM", "storage_class": "Standard", "jurisdiction": "default"}
    return {"name": name, "creation_date": WHEN, **fields}


def lifecycle(state: State, name: str) -> Json:
    return {"rules": bucket(state, name)["rules"]}


def set_lifecycle(state: State, name: str, body: Json) -> Json:
    """All rules at once; what is refused is what the schema of the call demands. The code is unknown.

    https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/lifecycle/methods/update/
    """
    rules = body["rules"]
    ids = {rule.get("id") for rule in rules}
    if len(rules) > MOST_RULES or len(ids) != len(rules) or not all(map(_is_rule, rules)):
        raise Refusal(400, 10021, "invalid lifecycle rules")
    bucket(state, name)["rules"] = rules
    return {}


def _is_rule(rule: Json) -> bool:
    fits = {"id", "enabled", "conditions"} <= set(rule) <= RULE_FIELDS and "prefix" in rule["conditions"]
    when = rule.get("deleteObjectsTransition", {}).get("condition", {"type": "Age", "maxAge": 1})
    age = when.get("maxAge")
    return bool(fits and (when["type"] == "Date" or (isinstance(age, int) and age > 0)))


def objects(state: State, name: str, query: Json) -> list[Json]:
    times = {"last_modified": WHEN, "etag": "e" * 32, "size": 1, "storage_class": "Standard"}
    found = [{"key": key, **times} for key in bucket(state, name)["objects"]]
    found = [entry for entry in found if entry["key"].startswith(query.get("prefix", ""))]
    return found[: int(query.get("per_page", 1000))]


def _entitled(state: State) -> None:
    if not state.has_r2:
        raise Refusal(403, 10042, "Please enable R2 through the Cloudflare Dashboard.")


def create_namespace(state: State, body: Json) -> Json:
    title = body["title"]
    if title in (entry["title"] for entry in state.namespaces.values()):
        # https://github.com/cloudflare/workers-sdk/issues/13242
        raise Refusal(400, 10014, "a namespace with this account ID and title already exists")
    if not 0 < len(title) <= LONGEST_TITLE or len(state.namespaces) >= MOST_NAMESPACES:
        # Their codes are unknown.
        raise Refusal(400, 10019, "the title is missing or too long, or there are too many namespaces")
    entry = {"id": new_id(), "title": title, "supports_url_encoding": True}
    state.namespaces[entry["id"]] = entry
    return entry


def keys(state: State, namespace: str) -> list[Json]:
    if namespace not in state.namespaces:
        raise Refusal(404, 10013, "namespace not found")
    return [{"name": name} for name in state.keys.get(namespace, [])]
