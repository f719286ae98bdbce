"""Tells schemathesis how a raw message becomes a request body: as it is."""

import schemathesis


@schemathesis.serializer("message/rfc822")
def as_it_is(_: schemathesis.SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
