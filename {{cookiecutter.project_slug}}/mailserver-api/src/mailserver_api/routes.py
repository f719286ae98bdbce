"""The four addresses of the service."""

import logging
import time
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect

from mailserver_api.addresses import Envelope, parse_envelope
from mailserver_api.delivery import Delivery
from mailserver_api.ledger import Ledger
from mailserver_api.metrics import Metrics
from mailserver_api.problems import VERDICT_HEADER, Problem, from_outcome
from mailserver_api.readiness import Readiness
from mailserver_api.settings import Settings
from mailserver_api.spool import Spool
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Outcome, Verdict

log = logging.getLogger(__name__)
router = APIRouter()


@dataclass
class Parts:
    """What the routes work with; one set for each application."""

    settings: Settings
    tokens: Tokens
    spool: Spool
    ledger: Ledger
    metrics: Metrics
    delivery: Delivery
    readiness: Readiness
    busy: int = 0


@dataclass
class Record:
    """What the log line of one call will say."""

    started: float = field(default_factory=time.monotonic)
    envelope: Envelope | None = None
    size: int | None = None
    outcome: Outcome | None = None

    def write(self, verdict: Verdict, status: int, detail: str) -> None:
        """Log one line; never content, never a token."""
        outcome = self.outcome or Outcome(verdict)
        fields = {
            "verdict": verdict.label,
            "status": status,
            "queue_id": outcome.queue_id,
            "duplicate": outcome.duplicate,
            "from": self.envelope and self.envelope.sender,
            "to": self.envelope and self.envelope.recipient,
            "size": self.size,
            "seconds": round(time.monotonic() - self.started, 3),
            "detail": detail,
        }
        log.info("message", extra={"fields": fields})


@router.post("/v1/messages")
async def post_message(request: Request) -> Response:
    """Take one raw message and answer with postfix's verdict (see verdicts.py)."""
    parts: Parts = request.app.state.parts
    record = Record()
    with parts.metrics.in_flight.track_inprogress():
        try:
            outcome = await _take(request, parts, record)
            verdict, status, detail = Verdict.ACCEPTED, 200, str(outcome.reply or "accepted before")
            response: Response = _accepted(outcome)
        except Problem as problem:
            verdict, status, detail = problem.verdict, problem.status, problem.detail
            response = problem.response()
        except ClientDisconnect:
            verdict, status, detail = Verdict.TEMPORARY, 503, "the caller hung up"
            response = Problem(verdict, detail).response()
        except Exception:
            log.exception("unexpected error")
            verdict, status, detail = Verdict.TEMPORARY, 503, "Unexpected error; see the log."
            response = Problem(verdict, detail).response()
    parts.metrics.requests.labels(verdict.label).inc()
    record.write(verdict, status, detail)
    return response


async def _take(request: Request, parts: Parts, record: Record) -> Outcome:
    parts.tokens.require(request.headers.get("authorization"))
    envelope = record.envelope = parse_envelope(request.headers)
    parts.spool.refuse_early(request.headers.get("content-length"))
    if parts.busy >= parts.settings.max_concurrent_messages:
        raise Problem(Verdict.BUSY, f"{parts.busy} messages are being taken; that is the limit.")
    parts.busy += 1
    try:
        deadline = record.started + parts.settings.total_timeout
        message = await parts.spool.receive(request.stream(), envelope, deadline - time.monotonic())
        record.size = message.size
        parts.metrics.bytes.inc(message.size)
        outcome = record.outcome = await parts.delivery.deliver(envelope, message, deadline)
    finally:
        parts.busy -= 1
    if outcome.duplicate:
        parts.metrics.duplicates.inc()
    if outcome.verdict is not Verdict.ACCEPTED:
        raise from_outcome(outcome)
    return outcome


def _accepted(outcome: Outcome) -> JSONResponse:
    body = {
        "verdict": Verdict.ACCEPTED.label,
        "queue_id": outcome.queue_id,
        "duplicate": outcome.duplicate,
    }
    return JSONResponse(body, headers={VERDICT_HEADER: Verdict.ACCEPTED.label})


@router.get("/health")
async def health() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "alive"}


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Whether a message could be taken now; the reasons only for callers with a token."""
    parts: Parts = request.app.state.parts
    reasons = await parts.readiness.reasons()
    body: dict[str, object] = {"status": "not ready" if reasons else "ready"}
    if parts.tokens.matches(request.headers.get("authorization")):
        body["reasons"] = reasons
    return JSONResponse(body, 503 if reasons else 200)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus metrics, only with a token."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
