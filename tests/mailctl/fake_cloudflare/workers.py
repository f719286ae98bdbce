"""Workers: what is uploaded, its bindings, its schedule, and its address on workers.dev."""

import secrets

from fake_cloudflare.state import WHEN, Json, Refusal, State, new_id

TEXT = {"type", "name", "text"}
BINDINGS = {"plain_text": TEXT, "secret_text": TEXT, "r2_bucket": {"type", "name", "bucket_name"}}
BINDINGS |= {"kv_namespace": {"type", "name", "namespace_id"}}
BINDINGS |= {"send_email": {"type", "name", "destination_address"}}
# The free plan: https://developers.cloudflare.com/workers/platform/limits/
MOST_CRONS, MOST_VARIABLES, LONGEST_VARIABLE = 5, 64, 5 * 1024


def upload(state: State, name: str, metadata: Json, files: dict[str, tuple[str, bytes]]) -> Json:
    """A Worker of modules: the main one must be among the files, with its media type."""
    unknown = set(metadata) - {"main_module", "compatibility_date", "bindings", "observability"}
    if unknown:
        raise Refusal(400, 10021, f"unknown metadata: {sorted(unknown)}")
    kind, code = files.get(metadata["main_module"], ("", b""))
    if kind != "application/javascript+module":
        raise Refusal(400, 10021, "No such module")
    for binding in metadata["bindings"]:
        if set(binding) != BINDINGS.get(binding["type"], set()):
            raise Refusal(400, 10021, "a binding is malformed")
        _judge_target(state, binding)
    texts = [binding["text"] for binding in metadata["bindings"] if "text" in binding]
    # What it answers is unknown.
    if len(texts) > MOST_VARIABLES or any(len(text) > LONGEST_VARIABLE for text in texts):
        raise Refusal(400, 10021, "too many variables, or one that is too long")
    old = state.scripts.get(name, {})
    kept = {"workers_dev": old.get("workers_dev", False), "crons": old.get("crons", [])}
    state.scripts[name] = {"code": code, "metadata": metadata, **kept}
    return {
        "id": name,
        "etag": secrets.token_hex(8),
        "startup_time_ms": 1,
        "has_modules": True,
        "tag": new_id(),
    }


def _judge_target(state: State, binding: Json) -> None:
    kind = binding["type"]
    if kind == "r2_bucket" and binding["bucket_name"] not in state.buckets:
        # https://github.com/cloudflare/workers-sdk/issues/9418
        text = f"R2 bucket '{binding['bucket_name']}' not found. Please use a different name and try again."
        raise Refusal(400, 10085, text)
    if kind == "kv_namespace" and binding["namespace_id"] not in state.namespaces:
        # https://github.com/cloudflare/workers-sdk/issues/14249
        text = f"KV namespace '{binding['namespace_id']}' is not valid. Please verify the namespace_id"
        raise Refusal(400, 10042, text)
    if kind == "send_email" and not state.confirmed(binding["destination_address"]):
        # The page wants it confirmed before it is bound; whether an upload is refused, and how, is unknown.
        # https://developers.cloudflare.com/email-routing/email-workers/send-email-workers/
        raise Refusal(400, 10021, "send_email: the destination address is not verified")


def script(state: State, name: str) -> Json:
    if name not in state.scripts:
        raise Refusal(404, 10007, "This Worker does not exist on your account.")
    return state.scripts[name]


def script_settings(state: State, name: str) -> Json:
    """Bindings as the API shows them: never the value of a secret."""
    metadata = script(state, name)["metadata"]
    shown = [
        binding if binding["type"] != "secret_text" else {"type": binding["type"], "name": binding["name"]}
        for binding in metadata["bindings"]
    ]
    return {
        "bindings": shown,
        "compatibility_date": metadata["compatibility_date"],
        "compatibility_flags": [],
        "observability": metadata.get("observability"),
    }


def script_content(state: State, name: str) -> tuple[str, bytes]:
    """The modules as a form, as content/v2 answers."""
    found = script(state, name)
    main = found["metadata"]["main_module"]
    head = f'--edge\r\nContent-Disposition: form-data; name="{main}"; filename="{main}"\r\n'
    head += "Content-Type: application/javascript+module\r\n\r\n"
    return "multipart/form-data; boundary=edge", head.encode() + found["code"] + b"\r\n--edge--\r\n"


def subdomain(state: State, name: str) -> Json:
    return {"enabled": script(state, name)["workers_dev"], "previews_enabled": False}


def set_subdomain(state: State, name: str, body: Json) -> Json:
    script(state, name)["workers_dev"] = body["enabled"]
    return subdomain(state, name)


def schedules(state: State, name: str) -> Json:
    times = {"created_on": WHEN, "modified_on": WHEN}
    return {"schedules": [{"cron": cron, **times} for cron in script(state, name)["crons"]]}


def set_schedules(state: State, name: str, body: list[Json]) -> Json:
    """Refused while the account has too many, even if there would be fewer afterwards.

    https://github.com/cloudflare/workers-sdk/issues/15194
    """
    others = state.other_crons + sum(len(each["crons"]) for key, each in state.scripts.items() if key != name)
    crons = [entry["cron"] for entry in body]
    if others + max(len(crons), len(script(state, name)["crons"])) > MOST_CRONS:
        text = f"This account has reached the Workers Free limit of {MOST_CRONS} cron triggers per account."
        raise Refusal(400, 10072, text)
    if any(len(cron.split()) != 5 for cron in crons):
        # Its code is unknown.
        raise Refusal(400, 10021, "invalid cron string")
    script(state, name)["crons"] = crons
    return schedules(state, name)
