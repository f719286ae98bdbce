"""The addresses of the service for forwards outside: the filter names them, the Worker reports them."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from mailserver_api import openapi
from mailserver_api.addresses import Envelope
from mailserver_api.bodies import parsed, read_body
from mailserver_api.forwards import MAX_BYTES, OWN, Named, Report
from mailserver_api.problems import malformed
from mailserver_api.routes import Parts

router = APIRouter()
FIX = "send what the Email Worker and the filter of this version send"


@router.get("/v1/forwards", **openapi.FORWARDS)
async def forwards(request: Request) -> JSONResponse:
    """What was lately not forwarded outside, and why."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    return JSONResponse({"failed": await parts.forwards.failed()})


@router.post("/v1/forwards", **openapi.FORWARD_REPORT)
async def post_forward(request: Request) -> dict[str, str]:
    """Keep what became of one forward of the Email Worker."""
    parts: Parts = request.app.state.parts
    parts.tokens.require(request.headers.get("authorization"))
    await parts.forwards.report(parsed(Report, await read_body(request, MAX_BYTES), FIX))
    return {"status": "kept"}


@router.post("/internal/forwards", include_in_schema=False)
async def name_forwards(request: Request) -> JSONResponse:
    """Where to forward a mail that the filter lets pass; 404: no such mail runs."""
    parts: Parts = request.app.state.parts
    await parts.forwards.require_filter(request.client.host if request.client else None)
    named = parsed(Named, await read_body(request, MAX_BYTES), FIX)
    if named.reason == OWN:
        await parts.forwards.keep_own(named)
        return JSONResponse({"status": "kept"})
    is_running = parts.delivery.name(named) or await parts.forwards.name_elsewhere(named)
    return JSONResponse({"status": "named" if is_running else "unknown"}, 200 if is_running else 404)


@router.post("/internal/forwards/mail", include_in_schema=False)
async def forward_own(request: Request) -> dict[str, str]:
    """Take a mail of our own people, to forward it by the relay; the body's first line says where to."""
    parts: Parts = request.app.state.parts
    await parts.forwards.require_filter(request.client.host if request.client else None)
    if parts.relay is None:
        raise malformed("FORWARD_PORT", "", "nothing is forwarded by the relay", "leave the mail to Postfix")
    line, rest = await _first_line(request.stream())
    named = parsed(Named, line, FIX)
    envelope = Envelope(named.recipient, named.recipient)
    message = await parts.spool.receive(rest, envelope, parts.settings.receive_seconds)
    await parts.relay.of_our_people(named, message)
    return {"status": "taken"}


async def _first_line(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first line, of at most MAX_BYTES, and what follows it."""
    begun = b""
    async for chunk in chunks:
        begun += chunk
        if b"\n" in begun or len(begun) > MAX_BYTES:
            break
    line, _, first = begun.partition(b"\n")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return line[:MAX_BYTES], rest()
