"""The addresses of the service."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect

from mailserver_api import openapi
from mailserver_api.addresses import Envelope, parse_envelope
from mailserver_api.bodies import read_body
from mailserver_api.delivery import Delivery
from mailserver_api.forwards import Forwards
from mailserver_api.hasten import Hasten
from mailserver_api.ledger import Ledger
from mailserver_api.metrics import Metrics
from mailserver_api.problems import CLOSE, VERDICT_HEADER, Problem, from_outcome, malformed
from mailserver_api.readiness import Readiness
from mailserver_api.relay import Relay
from mailserver_api.retry_probe import defer_first
from mailserver_api.settings import Settings
from mailserver_api.spool import Message, Spool
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Outcome, Verdict
from mailserver_api.watch import MAX_REPORT_BYTES, Hold, Monitor, SpoolReports

log = logging.getLogger(__name__)
router = APIRouter()
#: A caller that has the mail in its hands, and not out of the edge's spool, can forward it.
CAN_FORWARD = "x-can-forward"
# A body that is not complete by then is large or its line slow: the recipient is asked about meanwhile.
AT_ONCE_SECONDS = 0.1
# In bytes, on a busy host. The Worker waits eight times longer for a large message.
SCANNED_A_SECOND = 1024 * 1024


@dataclass
class Parts:
    """What the routes work with; one set for each application. `receiving` holds a place for each body."""

    settings: Settings
    tokens: Tokens
    spool: Spool
    ledger: Ledger
    metrics: Metrics
    delivery: Delivery
    readiness: Readiness
    receiving: asyncio.Semaphore
    monitor: Monitor
    reports: SpoolReports
    hasten: Hasten
    hold: Hold
    forwards: Forwards
    #: What forwards by the relay; None: nothing does.
    relay: Relay | None


@dataclass
class Record:
    """What the log line of one call will say. `ray` is Cloudflare's name of the call.

    `spooled` is what the Worker calls the mail in the edge's spool, and when it came there.
    """

    ray: str | None = None
    spooled: str | None = None
    started: float = field(default_factory=time.monotonic)
    envelope: Envelope | None = None
    message: Message | None = None
    outcome: Outcome | None = None

    def write(self, verdict: Verdict, status: int, detail: str) -> None:
        """Log one line; never content, never a token."""
        outcome = self.outcome or Outcome(verdict)
        fields = {
            "verdict": verdict.label,
            "status": status,
            "queue_id": outcome.queue_id,
            "duplicate": outcome.duplicate,
            "from": self.envelope and (self.envelope.sender or self.envelope.stated),
            "to": self.envelope and self.envelope.recipient,
            "message_id": self.message and self.message.message_id,
            "size": self.message and self.message.size,
            "cf_ray": self.ray,
            "spooled": self.spooled,
            "seconds": round(time.monotonic() - self.started, 3),
            "detail": detail,
        }
        log.info("message", extra={"fields": fields})


@router.post("/v1/messages", **openapi.MESSAGES)
async def post_message(request: Request) -> Response:
    """Take one raw message and answer with postfix's verdict."""
    parts: Parts = request.app.state.parts
    headers = request.headers
    spooled = f"{headers.get('x-spool-received', '')} {headers.get('x-spool-key', '')}".strip()
    record = Record((headers.get("cf-ray") or "")[:64] or None, spooled[:100] or None)
    with parts.metrics.in_flight.track_inprogress():
        try:
            outcome = await _take(request, parts, record)
            key = record.message.key if record.message else ""
            forward: list[str] = []
            if outcome.forwards or outcome.duplicate:
                forward = await parts.forwards.hand_out(key, CAN_FORWARD in headers, outcome.forwards)
            response = _accepted(outcome, key, forward)
            ended = (Verdict.ACCEPTED, 200, str(outcome.reply))
        except Exception as error:  # noqa: BLE001 (every failure becomes an answer)
            problem = _problem_of(error)
            response, ended = problem.response(), (problem.verdict, problem.status, problem.detail)
    parts.metrics.requests.labels(ended[0].label).inc()
    record.write(*ended)
    return response


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClientDisconnect):
        return Problem(Verdict.TEMPORARY, "the caller hung up")
    log.error("unexpected error", exc_info=error)
    return Problem(Verdict.TEMPORARY, "Unexpected error; see the log.")


async def _take(request: Request, parts: Parts, record: Record) -> Outcome:
    parts.tokens.require(request.headers.get("authorization"))
    parts.hold.refuse(request.headers.get("x-canary-pass"))
    _refuse_odd_framing(request)
    envelope = record.envelope = parse_envelope(request.headers)
    parts.spool.refuse_early(request.headers.get("content-length"))
    await defer_first(envelope.recipient, parts.tokens, parts.ledger)
    deadline = record.started + parts.settings.answer_seconds
    async with _place(parts, deadline):
        began = time.monotonic()
        message = record.message = await _receive(request, parts, envelope)
        parts.metrics.bytes.inc(message.size)
        # The time for the body is counted apart, and scanning a large message takes longer.
        deadline += time.monotonic() - began + message.size / SCANNED_A_SECOND
        by_relay = parts.relay if CAN_FORWARD not in request.headers else None
        after = by_relay.of_spool if by_relay else None
        outcome = record.outcome = await parts.delivery.deliver(envelope, message, deadline, after)
    if outcome.duplicate:
        parts.metrics.duplicates.inc()
    if outcome.verdict is not Verdict.ACCEPTED:
        raise from_outcome(outcome)
    return outcome


def _refuse_odd_framing(request: Request) -> None:
    headers = request.headers
    if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("identity", ""):
        raise malformed("Content-Encoding", coding, "is not supported", "send the message as it is")
    if "content-length" in headers and "transfer-encoding" in headers:
        fix = "send one of them: both together are how requests are smuggled"
        raise malformed("Content-Length", headers["content-length"], "comes with Transfer-Encoding", fix)


@contextlib.asynccontextmanager
async def _place(parts: Parts, deadline: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            await parts.receiving.acquire()
    except TimeoutError:
        raise Problem(Verdict.BUSY, "Too many messages are being received.") from None
    try:
        yield
    finally:
        parts.receiving.release()


async def _receive(request: Request, parts: Parts, envelope: Envelope) -> Message:
    """The whole message; raises Problem as soon as postfix says that it will never take it."""
    seconds = parts.settings.receive_seconds
    receiving = asyncio.create_task(parts.spool.receive(request.stream(), envelope, seconds))
    asking = None
    try:
        await asyncio.wait({receiving}, timeout=AT_ONCE_SECONDS)
        if not receiving.done():
            length = request.headers.get("content-length")
            asking = asyncio.create_task(parts.delivery.refusal(envelope, int(length) if length else None))
            await asyncio.wait({receiving, asking}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() and (refusal := asking.result()):
                raise from_outcome(refusal)
        return await receiving
    finally:
        for task in (receiving, asking):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task})


def _accepted(outcome: Outcome, key: str, forward: list[str]) -> JSONResponse:
    body: dict[str, object] = {
        "verdict": Verdict.ACCEPTED.label,
        "queue_id": outcome.queue_id,
        "duplicate": outcome.duplicate,
    }
    if forward:
        body["forward"] = {"key": key, "to": forward}
    return JSONResponse(body, headers={VERDICT_HEADER: Verdict.ACCEPTED.label})


@router.get("/health", **openapi.HEALTH)
async def health() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "alive"}


@router.get("/ready", **openapi.READY)
async def ready(request: Request) -> JSONResponse:
    """Whether a message could be delivered now; the reasons only for callers with a token."""
    parts: Parts = request.app.state.parts
    reasons = await parts.readiness.reasons()
    body: dict[str, object] = {"status": "not ready" if reasons else "ready"}
    if parts.tokens.matches(request.headers.get("authorization")):
        body["reasons"] = reasons
    return JSONResponse(body, 503 if reasons else 200)


@router.get("/metrics", **openapi.METRICS)
async def metrics(request: Request) -> Response:
    """Prometheus metrics, only with a token."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/alive", **openapi.ALIVE)
async def alive(request: Request) -> JSONResponse:
    """For monitors outside: whether this host's monitor ran lately and knows of nothing critical; no more."""
    is_alive = request.app.state.parts.monitor.is_alive()
    return JSONResponse({"status": "ok" if is_alive else "not ok"}, 200 if is_alive else 503)


@router.get("/v1/monitor", **openapi.MONITOR)
async def monitor(request: Request) -> JSONResponse:
    """What this host's monitor found, for the Email Worker, which sends alarms."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    return JSONResponse(parts.monitor.state())


@router.get("/v1/spool", **openapi.SPOOL)
async def spool(request: Request) -> JSONResponse:
    """The Email Worker's newest report on its spool."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    return JSONResponse(await parts.reports.newest())


@router.post("/v1/spool", **openapi.SPOOL_REPORT)
async def post_spool(request: Request) -> dict[str, str]:
    """Keep the Email Worker's report on its spool."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    await parts.reports.keep(await read_body(request, MAX_REPORT_BYTES))
    return {"status": "kept"}


@router.post("/v1/deploy", **openapi.DEPLOY)
async def post_deploy(request: Request) -> JSONResponse:
    """Ask the host to look for what was merged, with a token of its own; it decides itself what it takes."""
    hasten = request.app.state.parts.hasten
    if hasten.is_off():
        return JSONResponse({"status": "off"}, 404, CLOSE)
    await hasten.ask(request.headers.get("authorization"))
    return JSONResponse({"status": "asked"}, 202)
