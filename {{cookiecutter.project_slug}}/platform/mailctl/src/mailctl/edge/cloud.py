"""The connection to Cloudflare: the token, the SDK, and its errors in our words."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    import httpx
    from cloudflare import APIError, Cloudflare

TOKEN_FILE, TOKEN_VARIABLE = "cloudflare_api_token", "CLOUDFLARE_API_TOKEN"
NAMED = (TOKEN_VARIABLE, TOKEN_FILE)
RETRIES = 4
TIMEOUT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 60.0
PER_PAGE = 100
# Email Routing serves fewer: https://developers.cloudflare.com/api/resources/email_routing/subresources/rules/methods/list/
ROUTING_PAGE = 50

# What the token must be allowed, as Cloudflare's page for tokens names it; planning alone needs Read of each.
# https://developers.cloudflare.com/fundamentals/api/reference/permissions/
ZONE = "Zone > Zone > Read"
DNS = "Zone > DNS > Edit"
SETTINGS = "Zone > Zone Settings > Edit"
RULES = "Zone > Email Routing Rules > Edit"
WORKERS = "Account > Workers Scripts > Edit"
TUNNELS = "Account > Cloudflare Tunnel > Edit"
APPLICATIONS = "Account > Access: Apps and Policies > Edit"
TEAM = "Account > Access: Organizations, Identity Providers, and Groups > Edit"
ADDRESSES = "Account > Email Routing Addresses > Edit"
NAMESPACES = "Account > Workers KV Storage > Edit"
SCOPES = (ZONE, DNS, SETTINGS, RULES, WORKERS, TUNNELS, APPLICATIONS, TEAM, ADDRESSES, NAMESPACES)
# Only with worker.spool.
STORAGE = "Account > Workers R2 Storage > Edit"

# Error codes of the API. No page lists them all: where none is named here, the code was seen in answers that
# people quote, and its source is unknown.
# 6003 and 6111: https://github.com/cloudflare/workers-sdk/issues/15616
INVALID_TOKEN = {1000, 1001, 6003, 6111, 9106, 9107}
MANAGED_BY_ROUTING = {1046, 890190}
NO_SUCH_WORKER = {10007}
# What an account lacks, whatever the token is allowed, by HTTP status and code: what is wrong, what to do.
ACCOUNT_LACKS = {
    # https://developers.cloudflare.com/r2/api/error-codes/
    (403, 10042): (
        "R2 is not enabled for this account",
        "enable it in the dashboard (which asks for a payment method), or take out worker.spool",
    ),
    # https://developers.cloudflare.com/workers/platform/limits/ and https://github.com/cloudflare/workers-sdk/issues/15194
    (400, 10072): (
        "the account has no cron trigger left (5 on the free plan)",
        "remove one of another Worker, or take out worker.crons",
    ),
}

T = TypeVar("T")


@dataclass
class Cloud:
    """A zone at Cloudflare and the account that it is in; `known` holds ids that apply learns on its way."""

    client: "Cloudflare"
    zone_id: str
    account_id: str
    known: dict[str, Any] = field(default_factory=dict)

    def once(self) -> "Cloudflare":
        """For calls that would make a second thing if they were repeated after a lost answer."""
        return self.client.with_options(max_retries=0)


def token(context: Context, secrets: Any) -> str:
    """The API token: the environment first, then the secrets folder. Raises Refused when there is none."""
    value = context.environ.get(TOKEN_VARIABLE) or secrets.text(TOKEN_FILE)
    if value:
        return value
    scopes = f"{'; '.join(SCOPES)}; for worker.spool also {STORAGE}"
    fix = f"make one with these permissions: {scopes}. Put it into .env as {TOKEN_VARIABLE}=…"
    raise Refused(Problem(TOKEN_VARIABLE, "there is no Cloudflare API token", fix, next="make setup"))


def connect(context: Context, secrets: Any, zone: str, http: "httpx.Client | None" = None) -> Cloud:
    """Find the zone. Raises Refused: no token, a bad token, no such zone, Cloudflare unreachable."""
    return reach(token(context, secrets), zone, http=http)


def reach(value: str, zone: str, named: tuple[str, str] = NAMED, http: "httpx.Client | None" = None) -> Cloud:
    """As `connect`, with this token; `named` are its variable and its file, for messages."""
    from cloudflare import Cloudflare

    client = Cloudflare(api_token=value, max_retries=RETRIES, timeout=TIMEOUT_SECONDS, http_client=http)
    with explained("reading the zone", ZONE, named):
        found = list(client.zones.list(name=zone))
    if not found:
        wrong = "this token sees no zone of that name"
        fix = (
            f"add the domain at Cloudflare, or give the token {ZONE} for it; is zone in edge/edge.yml right?"
        )
        raise Refused(Problem("zone", wrong, fix, value=zone))
    return Cloud(client, found[0].id, str(found[0].account.id))


def codes(error: "APIError") -> set[int]:
    """Cloudflare's own error numbers, those in error chains too."""
    body = error.body if isinstance(error.body, dict) else {}
    errors = [e for e in body.get("errors") or [] if isinstance(e, dict)]
    chained = [c for e in errors for c in e.get("error_chain") or [] if isinstance(c, dict)]
    return {e["code"] for e in (*errors, *chained) if isinstance(e.get("code"), int)}


@contextmanager
def explained(what: str, scope: str, named: tuple[str, str] = NAMED) -> Iterator[None]:
    """Turn whatever goes wrong at Cloudflare into a Refused that says what was tried and what to do."""
    from cloudflare import APIError

    try:
        yield
    except APIError as error:
        raise Refused(_problem(error, what, scope, named)) from None


def absent(call: Callable[[], T]) -> T | None:
    """What the call answers, None when Cloudflare says that there is no such thing."""
    from cloudflare import APIStatusError, NotFoundError

    try:
        return call()
    except NotFoundError:
        return None
    except APIStatusError as error:
        if "not_enabled" in error.message or codes(error) & NO_SUCH_WORKER:
            return None
        raise


def created(call: Callable[[], T]) -> T:
    """Make something, at most once: only what Cloudflare turned away unread (429) is tried again."""
    from cloudflare import RateLimitError

    for attempt in range(RETRIES):
        try:
            return call()
        except RateLimitError as error:
            time.sleep(_wait(error.response.headers.get("retry-after"), attempt))
    return call()


def _wait(header: str | None, attempt: int) -> float:
    """Seconds to wait: what Cloudflare asks for, within reason, else twice as long each time."""
    try:
        return min(float(header or ""), LONGEST_WAIT_SECONDS)
    except ValueError:
        return min(0.5 * 2.0**attempt, LONGEST_WAIT_SECONDS)


def _problem(error: "APIError", what: str, scope: str, named: tuple[str, str]) -> Problem:
    status, numbers = getattr(error, "status_code", None), codes(error)
    said = _said(error)
    if status == 401 or numbers & INVALID_TOKEN:
        fix = f"make a new one and put it into secrets/{named[1]} or {named[0]}"
        return Problem(named[0], f"Cloudflare does not accept the token ({said})", fix)
    for lacking in ACCOUNT_LACKS.keys() & {(status, number) for number in numbers}:
        wrong, fix = ACCOUNT_LACKS[lacking]
        return Problem(what, f"{wrong} ({said})", fix)
    if status == 403 and not numbers & MANAGED_BY_ROUTING:
        fix = f"add this permission to the token at Cloudflare: {scope}"
        return Problem(what, f"the token is not allowed to ({said})", fix, value=f"lacks {scope}")
    if status is None:
        fix = "check this host's way to the internet, then run the same command again"
        return Problem(what, f"Cloudflare cannot be reached: {error.message}", fix)
    if status == 429 or status >= 500:
        return Problem(
            what, f"Cloudflare has trouble or too much to do ({said})", "run the same command again later"
        )
    return Problem(
        what, f"Cloudflare refused: {said}", "correct what it names, then run the same command again"
    )


def _said(error: "APIError") -> str:
    body = error.body if isinstance(error.body, dict) else {}
    errors = [e for e in body.get("errors") or [] if isinstance(e, dict)]
    told = "; ".join(f"{e.get('message')} [{e.get('code')}]" for e in errors)
    said = (told or f"HTTP {getattr(error, 'status_code', '?')}")[:300]
    # Whatever an answer repeats of our request: the token never reaches a screen or a log.
    secret = error.request.headers.get("authorization", "").removeprefix("Bearer ")
    return said.replace(secret, "(token)") if secret else said
