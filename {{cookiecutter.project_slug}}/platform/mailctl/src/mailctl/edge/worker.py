"""The Email Worker: its code, variables and secrets, uploaded together as one version."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.edge import plan
from mailctl.edge.cloud import WORKERS, absent, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

KIND = "Worker"
MODULE = "application/javascript+module"
# Plain variables beside the Worker's own: whose it is, and a keyed digest that shows when secrets change.
OWNER, DIGEST = "MAILCTL_OWNER", "MAILCTL_SECRETS"


def compare(session: Session, repo: Path) -> Iterator[Change | Note]:
    """The uploaded Worker against the files and the secrets of this host."""
    name = session.edge["worker"]["name"]
    code, date = _source(session, repo)
    there = _read(session, name, code)
    want = {"code": _said(code), "compatibility date": date, **_variables(session)}
    if session.secrets.path is None:
        yield Note(plan.WAITING, KIND, name, "its secrets are compared on the host only")
    if there and there.get(OWNER) != session.edge["owner"] and not session.adopts(name):
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
    variables = {**session.edge["worker"]["variables"], OWNER: session.edge["owner"], "workers.dev": "off"}
    if session.secrets.path is not None:
        variables[DIGEST] = session.secrets.digest(_secrets(session))
    return variables


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


def _read(session: Session, name: str, code: bytes) -> dict[str, str] | None:
    """What is uploaded, in the words of `compare`; None when there is no such Worker."""
    cloud, scripts = session.cloud, session.cloud.client.workers.scripts
    with explained("reading the Worker", WORKERS):
        settings = absent(lambda: scripts.script_and_version_settings.get(name, account_id=cloud.account_id))
        if settings is None:
            return None
        answer = scripts.content.get(name, account_id=cloud.account_id)
        modules = _modules(answer.read(), answer.headers.get("content-type", ""))
        subdomain = scripts.subdomain.get(name, account_id=cloud.account_id)
    plain = {b.name: b.text for b in settings.bindings or [] if b.type == "plain_text"}
    if session.secrets.path is None:
        plain.pop(DIGEST, None)
    return {
        "code": _said(*modules),
        "compatibility date": settings.compatibility_date or "none",
        "workers.dev": "on" if subdomain.enabled else "off",
        **plain,
        **_missing_secrets(session, settings),
    }


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
    """Code, variables and secrets in one call; then no address of its own on workers.dev."""
    if session.secrets.path is None:
        wrong = "the Worker's secrets are in the secrets folder, which is not here"
        raise Refused(Problem("secrets folder", wrong, "run make edge-apply on the host"))
    cloud, main = session.cloud, session.edge["worker"]["main"]
    plain = {key: value for key, value in _variables(session).items() if key != "workers.dev"}
    bindings: list[dict[str, str]] = [{"type": "plain_text", "name": k, "text": v} for k, v in plain.items()]
    bindings += [{"type": "secret_text", "name": k, "text": v} for k, v in _secrets(session).items()]
    metadata: Any = {"main_module": main, "compatibility_date": date, "bindings": bindings}
    scripts = cloud.client.workers.scripts
    files = [(main, code, MODULE)]
    scripts.update(name, account_id=cloud.account_id, metadata=metadata, files=files)
    if scripts.subdomain.get(name, account_id=cloud.account_id).enabled:
        scripts.subdomain.create(name, account_id=cloud.account_id, enabled=False, previews_enabled=False)
