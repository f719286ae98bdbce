"""Bodies that are documents: read up to a limit, and held against their form."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from mailserver_api.problems import CLOSE, Problem, malformed
from mailserver_api.verdicts import Verdict

Document = TypeVar("Document", bound=BaseModel)


async def read_body(request: Request, most: int) -> bytes:
    """The whole body; raises Problem: too-large, beyond `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Problem(Verdict.TOO_LARGE, f"A report may have at most {most} bytes.", headers=CLOSE)
    return bytes(body)


def parsed(kind: type[Document], body: bytes, fix: str) -> Document:
    """The document; raises Problem: malformed, with the first field that is wrong."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise malformed(where, "", first["msg"], fix) from None
