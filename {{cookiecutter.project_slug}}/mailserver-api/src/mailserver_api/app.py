"""The application: puts the parts together and owns their lifetime."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mailserver_api import routes
from mailserver_api.delivery import Delivery
from mailserver_api.ledger import Ledger
from mailserver_api.metrics import Metrics
from mailserver_api.problems import Problem
from mailserver_api.readiness import Readiness
from mailserver_api.settings import Settings
from mailserver_api.smtp import Server
from mailserver_api.spool import Spool
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Verdict

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """A new application. It serves no API description: the tunnel makes this port public."""
    parts = _parts(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _start(parts)
        yield
        await parts.delivery.close()
        parts.ledger.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.parts = parts
    app.include_router(routes.router)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_stray_call)
    return app


def _parts(settings: Settings) -> routes.Parts:
    server = Server(settings.smtp_host, settings.smtp_port, settings.connect_timeout, settings.smtp_ca_file)
    tokens = Tokens(settings.tokens_file)
    spool = Spool(settings.spool_dir, settings.max_message_bytes)
    ledger = Ledger(settings.state_dir / "state.db", settings.remember_seconds)
    metrics = Metrics()
    delivery = Delivery(server, ledger, metrics, settings.max_concurrent_messages)
    readiness = Readiness(settings, server, tokens, spool, ledger)
    return routes.Parts(settings, tokens, spool, ledger, metrics, delivery, readiness)


def _start(parts: routes.Parts) -> None:
    # Not fatal: /ready says what is wrong, every message is answered 503, and it heals without a restart.
    try:
        parts.spool.clean()
    except OSError as error:
        log.error("spool", extra={"fields": {"error": str(error)}})
    if problem := parts.tokens.problem():
        log.error("tokens", extra={"fields": {"error": problem}})


async def _answer_problem(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _answer_stray_call(request: Request, error: Exception) -> JSONResponse:
    # Never 404 for a wrong path: the caller would take it for an unknown recipient and bounce the mail.
    status = error.status_code if isinstance(error, HTTPException) else 400
    detail = f"There is no {request.method} {request.url.path}."
    fix = "use POST /v1/messages"
    return Problem(Verdict.MALFORMED, detail, status=405 if status == 405 else 400, fix=fix).response()
