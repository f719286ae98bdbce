"""The Email Worker: code, variables, secrets and bindings, uploaded as one version; and its schedule."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.edge import destinations, plan, stores
from mailctl.edge.cloud import WORKERS, absent, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

KIND = "Worker"
MODULE = "application/javascript+module"
# Plain variables beside the Worker's own: whose it is, and a keyed digest that shows when secrets change.
OWNER, DIGEST = "MAILCTL_OWNER", "MAILCTL_SECRETS"
# Without it the Worker's log is not kept: https://developers.cloudflare.com/workers/observability/logs/workers-logs/
OBSERVABILITY = {"enabled": True}
# Other bindings, and which of their fields says what is bound:
# https://developers.cloudflare.com/workers/configuration/multipart-upload-metadata/#bindings
TARGETS = {"r2_bucket": "bucket_name", "kv_namespace": "namespace_id", "send_email": "destination_address"}
# What is compared with the variables and is none.
BESIDE = ("workers.dev", "crons", "observability")


def look(session: Session) -> tuple[()]:
    """Read what is uploaded, for the comparisons to come; kept in `known`."""
    cloud, name = session.cloud, session.edge["worker"]["name"]
    read = cloud.client.workers.scripts.script_and_version_settings
    with explained("reading the Worker", WORKERS):
        settings = absent(lambda: read.get(name, account_id=cloud.account_id))
    cloud.known[KIND] = settings
    cloud.known[stores.BOUND] = _bound(settings) if _ours(session, settings) else {}
    return ()


def _ours(session: Session, settings: Any) -> bool:
    return settings is not None and _plain(settings).get(OWNER) == session.edge["owner"]


def compare(session: Session, repo: Path) -> Iterator[Change | Note]:
    """The uploaded Worker against the files and the secrets of this host."""
    if KIND not in session.cloud.known:
        return
    name, settings = session.edge["worker"]["name"], session.cloud.known[KIND]
    code, date = _source(session, repo)
    there = _read(session, name, settings)
    want = {"code": _said(code), "compatibility date": date, **_variables(session)}
    want |= {entry["name"]: _shown(session, entry) for entry in _bindings(session)}
    if session.secrets.path is None:
        yield Note(plan.WAITING, KIND, name, "its secrets are compared on the host only")
    if there and not _ours(session, settings) and not session.adopts(name):
        yield Note(plan.CONFLICT, KIND, name, "a Worker of that name is there and not ours")
        return
    if there == want:
        return
    action = plan.CREATE if there is None else plan.UPDATE
    shown = [{k: v for k, v in values.items() if k not in (OWNER, DIGEST)} for values in (there or {}, want)]
    if there and there.get(DIGEST) != want.get(DIGEST):
        shown = [shown[0] | {"secrets": "as uploaded last"}, shown[1] | {"secrets": "new values (not shown)"}]
    yield Change(
        plan.WORKER,
        action,
        KIND,
        name,
        shown[0],
        shown[1],
        WORKERS,
        lambda: _upload(session, name, code, date),
    )


def _source(session: Session, repo: Path) -> tuple[bytes, str]:
    """The module and its compatibility date. Raises Refused when the folder does not hold them."""
    folder = repo / session.edge["worker"]["folder"]
    try:
        code = (folder / session.edge["worker"]["main"]).read_bytes()
        date = json.loads((folder / "package.json").read_text("utf-8"))["config"]["compatibility_date"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        wrong = f"the Worker's code or config.compatibility_date of its package.json cannot be read: {error}"
        raise Refused(Problem("worker.folder", wrong, f"git checkout -- {folder}")) from None
    return code, str(date)


def _variables(session: Session) -> dict[str, str]:
    """Plain variables, and what is set beside the bindings."""
    worker = session.edge["worker"]
    variables = {**worker["variables"], OWNER: session.edge["owner"]}
    if alarms := worker.get("alarms"):
        variables |= {"ALARM_TO": alarms["to"], "ALARM_FROM": alarms["from"]}
    if spool := worker.get("spool"):
        variables |= {"SPOOL_DAYS": str(spool["days"])}
    if session.secrets.path is not None:
        variables[DIGEST] = session.secrets.digest(_secrets(session))
    crons = ", ".join(sorted(worker.get("crons", ()))) or "none"
    return {**variables, "workers.dev": "off", "crons": crons, "observability": "on"}


def _bindings(session: Session) -> list[dict[str, str]]:
    """Bindings that are neither plain nor secret.

    Cloudflare's page wants an address confirmed before it is bound; whether it refuses others is unknown, so
    ALARM waits. https://developers.cloudflare.com/email-routing/email-workers/send-email-workers/
    """
    worker, found = session.edge["worker"], []
    if spool := worker.get("spool"):
        found.append({"type": "r2_bucket", "name": stores.SPOOL, "bucket_name": spool["bucket"]})
    if alarms := worker.get("alarms"):
        state = {"type": "kv_namespace", "name": stores.STATE, "namespace_id": stores.namespace_id(session)}
        found.append(state)
        if destinations.confirmed(session, alarms["to"]):
            found.append({"type": "send_email", "name": "ALARM", "destination_address": alarms["to"]})
    return found


def _shown(session: Session, binding: dict[str, str]) -> str:
    """A binding in words: its type and what it leads to."""
    target = binding.get(TARGETS.get(binding["type"], ""), "anything")
    if binding["type"] == "kv_namespace":
        target = stores.namespace_name(session, target)
    return f"{binding['type']} {target}"


def _secrets(session: Session) -> dict[str, str]:
    """The values by binding. Raises Refused when one is empty: the Worker could deliver nothing."""
    files = {row["binding"]: row["file"] for row in session.edge["worker"]["secrets"]}
    values = {binding: session.secrets.text(file) for binding, file in files.items()}
    missing = [files[binding] for binding, value in values.items() if not value]
    if missing:
        raise Refused(
            *(Problem(file, "the Worker's secret is empty or missing", "make setup") for file in missing)
        )
    return values


def _plain(settings: Any) -> dict[str, str]:
    return {b.name: b.text for b in settings.bindings or [] if b.type == "plain_text"}


def _others(settings: Any) -> list[dict[str, str]]:
    found = [b.model_dump() for b in settings.bindings or []]
    return [b for b in found if b["type"] not in ("plain_text", "secret_text")]


def _bound(settings: Any) -> dict[str, str]:
    """What is behind each binding."""
    return {b["name"]: str(b.get(TARGETS.get(b["type"], ""))) for b in _others(settings)}


def _read(session: Session, name: str, settings: Any) -> dict[str, str] | None:
    """What is uploaded, in the words of `compare`; None when there is no such Worker."""
    if settings is None:
        return None
    cloud, scripts = session.cloud, session.cloud.client.workers.scripts
    with explained("reading the Worker", WORKERS):
        answer = scripts.content.get(name, account_id=cloud.account_id)
        modules = _modules(answer.read(), answer.headers.get("content-type", ""))
        subdomain = scripts.subdomain.get(name, account_id=cloud.account_id)
        crons = _crons(session, name)
    plain = _plain(settings)
    if session.secrets.path is None:
        plain.pop(DIGEST, None)
    observability = settings.observability
    return {
        "code": _said(*modules),
        "compatibility date": settings.compatibility_date or "none",
        **plain,
        "workers.dev": "on" if subdomain.enabled else "off",
        "crons": ", ".join(crons) or "none",
        "observability": "on" if observability and observability.enabled else "off",
        **{entry["name"]: _shown(session, entry) for entry in _others(settings)},
        **_missing_secrets(session, settings),
    }


def _crons(session: Session, name: str) -> list[str]:
    schedules = session.cloud.client.workers.scripts.schedules
    answer = schedules.get(name, account_id=session.cloud.account_id)
    return sorted(schedule.cron for schedule in answer.schedules)


def _modules(body: bytes, content_type: str) -> list[bytes]:
    """The files of an uploaded Worker, which come as one body or as the parts of a form."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if not boundary:
        return [body]
    parts = body.split(b"--" + boundary[1].encode())[1:-1]
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]


def _said(*modules: bytes) -> str:
    """Code in a few characters: enough to see that it is another one."""
    return ", ".join(f"sha256 {hashlib.sha256(module).hexdigest()[:12]}" for module in modules)


def _missing_secrets(session: Session, settings: Any) -> dict[str, str]:
    """Secrets that were removed at Cloudflare; their values can never be read, only that they are there."""
    there = {b.name for b in settings.bindings or [] if b.type == "secret_text"}
    wanted = [row["binding"] for row in session.edge["worker"]["secrets"]]
    return {name: "missing" for name in wanted if name not in there}


def _upload(session: Session, name: str, code: bytes, date: str) -> None:
    """All but the schedule in one call; then the schedule, and no address of its own on workers.dev."""
    if session.secrets.path is None:
        wrong = "the Worker's secrets are in the secrets folder, which is not here"
        raise Refused(Problem("secrets folder", wrong, "run make edge-apply on the host"))
    cloud, main = session.cloud, session.edge["worker"]["main"]
    plain = {key: value for key, value in _variables(session).items() if key not in BESIDE}
    bindings = [{"type": "plain_text", "name": k, "text": v} for k, v in plain.items()]
    bindings += _bindings(session)
    bindings += [{"type": "secret_text", "name": k, "text": v} for k, v in _secrets(session).items()]
    metadata: Any = {"main_module": main, "compatibility_date": date, "bindings": bindings}
    metadata["observability"] = OBSERVABILITY
    scripts = cloud.client.workers.scripts
    files = [(main, code, MODULE)]
    scripts.update(name, account_id=cloud.account_id, metadata=metadata, files=files)
    if scripts.subdomain.get(name, account_id=cloud.account_id).enabled:
        scripts.subdomain.create(name, account_id=cloud.account_id, enabled=False, previews_enabled=False)
    crons = sorted(session.edge["worker"].get("crons", ()))
    # Only when it differs: an account above its limit is refused whatever it asks for, even the same again.
    if crons != _crons(session, name):
        body: Any = [{"cron": cron} for cron in crons]
        scripts.schedules.update(name, account_id=cloud.account_id, body=body)
