"""The application: puts the parts together and owns their lifetime."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from mailserver_api import forward_routes, openapi, routes
from mailserver_api.delivery import Delivery
from mailserver_api.forwards import Forwards
from mailserver_api.hasten import Hasten
from mailserver_api.ledger import Ledger
from mailserver_api.metrics import Metrics
from mailserver_api.problems import CLOSE, Problem
from mailserver_api.readiness import Readiness
from mailserver_api.relay import Relay
from mailserver_api.settings import Settings
from mailserver_api.smtp import Server
from mailserver_api.spool import Spool
from mailserver_api.stores import store_of
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Verdict
from mailserver_api.watch import Hold, Monitor, SharedSpoolReports, SpoolReports

log = logging.getLogger(__name__)
# Conversations that outlived their callers get this long at the end; the container is killed after 30 s.
LAST_SECONDS, RELAY_SECONDS = 20.0, 4.0
#: What there is for callers outside: the Email Worker, for /alive whoever watches from there, and a workflow.
OUTSIDE = ("/v1/messages", "/v1/monitor", "/v1/spool", "/v1/forwards", "/alive", "/v1/deploy")


class LittleFromOutside:
    """Through Cloudflare, which marks each call with CF-Ray, only the paths in OUTSIDE are there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call from outside to another path as one to a path that does not exist."""
        is_call = scope["type"] == "http" and scope["path"] not in OUTSIDE
        if is_call and any(name == b"cf-ray" for name, _ in scope["headers"]):
            await _stray(scope["method"], scope["path"], 400)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def create_app(settings: Settings) -> FastAPI:
    """A new application."""
    parts = _parts(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _start(parts)
        yield
        await parts.delivery.close(LAST_SECONDS)
        if parts.relay:
            await parts.relay.close(RELAY_SECONDS)
        await parts.ledger.close()

    app = FastAPI(
        title="mailserver-api",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.include_router(routes.router)
    app.include_router(forward_routes.router)
    app.openapi()["components"] = {"securitySchemes": openapi.SECURITY}
    app.add_middleware(LittleFromOutside)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_stray_call)
    return app


def _parts(settings: Settings) -> routes.Parts:
    server = Server(settings.smtp_host, settings.smtp_port, settings.connect_timeout, settings.smtp_ca_file)
    tokens = Tokens(settings.tokens_file)
    spool = Spool(settings.spool_dir, settings.max_message_bytes)
    metrics = Metrics()
    ledger = Ledger(store_of(settings), settings.remember_seconds, metrics.ledger_errors)
    delivery = Delivery(server, ledger, metrics, settings.max_concurrent_messages, settings.submit_seconds)
    readiness = Readiness(settings, server, tokens, spool, delivery)
    receiving = asyncio.Semaphore(settings.max_receiving)
    monitor = Monitor(settings.monitor_file)
    file = settings.state_dir / "edge-spool.json"
    reports = SharedSpoolReports(file, ledger) if ledger.is_shared else SpoolReports(file)
    hasten = Hasten(settings.deploy_token_file, settings.hasten_dir)
    hold = Hold(settings.hold_file)
    forwards = Forwards(ledger, metrics, settings.filter_host, settings.forward_lease_seconds)
    to_relay = replace(server, port=settings.forward_port, reports=True)
    relay = Relay(to_relay, forwards, settings.submit_seconds) if settings.forward_port else None
    outside = (monitor, reports, hasten, hold, forwards, relay)
    return routes.Parts(settings, tokens, spool, ledger, metrics, delivery, readiness, receiving, *outside)


def _start(parts: routes.Parts) -> None:
    # Not fatal: /ready says what is wrong, every message is answered 503, and it heals without a restart.
    try:
        parts.spool.clean()
    except OSError as error:
        log.error("spool", extra={"fields": {"error": str(error)}})


async def _answer_problem(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _answer_stray_call(request: Request, error: Exception) -> JSONResponse:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (400, None)
    return _stray(request.method, request.url.path, status, headers)


def _stray(method: str, path: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    # Never 404 for a wrong path: the caller would take it for an unknown recipient and bounce the mail.
    detail, fix = f"There is no {method} {path}.", "use POST /v1/messages"
    status = 405 if status == 405 else 400
    headers = {**(headers or {}), **CLOSE}
    return Problem(Verdict.MALFORMED, detail, status=status, headers=headers, fix=fix).response()
