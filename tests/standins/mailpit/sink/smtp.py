"""The SMTP side: STARTTLS or implicit TLS, authentication, and what Mailpit adds to a message."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from email.utils import format_datetime, getaddresses
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sink.settings import Settings
from sink.sockets import listen
from sink.store import Store, Stored


class Handler:
    """Stores each accepted message."""

    def __init__(self, store: Store, max_recipients: int) -> None:
        """Refuse more than ``max_recipients`` in one message."""
        self._store = store
        self._max_recipients = max_recipients

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take every recipient, up to the limit."""
        if len(envelope.rcpt_tos) >= self._max_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the message byte for byte, below the lines that Mailpit puts on top."""
        message = Stored(b"", username=_username(session))
        message.raw = _added_lines(session, envelope, message) + bytes(envelope.content or b"")
        self._store.add(message)
        print(f"stored {message.identifier} from <{envelope.mail_from}> for {envelope.rcpt_tos}", flush=True)
        return f"250 2.0.0 Ok: queued as {message.identifier}"


def _username(session: Session) -> str:
    data = session.auth_data
    return data.login.decode(errors="replace") if isinstance(data, LoginPassword) else ""


def _added_lines(session: Session, envelope: Envelope, message: Stored) -> bytes:
    """Return-Path, Received, a Message-ID if there is none, and Bcc for recipients that no header names."""
    content = Stored(bytes(envelope.content or b""))
    named = {
        address.lower()
        for _, address in getaddresses(
            [str(value) for header in ("To", "Cc", "Bcc") for value in content.parsed.get_all(header, [])]
        )
    }
    hidden = [address for address in envelope.rcpt_tos if address.lower() not in named]
    lines = [f"Return-Path: <{envelope.mail_from}>"]
    if hidden:
        lines.append("Bcc: " + ", ".join(hidden))
    if not content.parsed.get("Message-ID"):
        lines.append(f"Message-ID: <{secrets.token_hex(11)}@mailpit>")
    peer = session.peer[0] if session.peer else "unknown"
    lines.append(f"Received: from {session.host_name} ({peer}) by mailpit (Mailpit stand-in)")
    lines.append(f"        with ESMTP id {message.identifier}; {format_datetime(message.received)}")
    return "".join(line + "\r\n" for line in lines).encode()


class Authenticator:
    """Any name and password, or exactly the configured ones."""

    def __init__(self, credentials: dict[str, str]) -> None:
        """Accept everything if ``credentials`` is empty."""
        self._credentials = credentials

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Decide about one attempt."""
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        expected = self._credentials.get(data.login.decode(errors="replace"), "").encode()
        allowed = not self._credentials or (
            bool(expected) and secrets.compare_digest(expected, data.password)
        )
        return AuthResult(success=allowed, handled=False, auth_data=data)


async def serve(settings: Settings, store: Store) -> asyncio.Server:
    """Start listening; the caller keeps the returned server running."""
    context = None
    if settings.certificate and settings.key:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.certificate, settings.key)
    authentication = settings.accept_any or bool(settings.credentials)

    def connection() -> SMTP:
        return SMTP(
            Handler(store, settings.max_recipients),
            data_size_limit=settings.max_message_bytes,
            enable_SMTPUTF8=True,
            hostname="mailpit",
            ident="Mailpit stand-in ESMTP",
            tls_context=None if settings.require_tls else context,
            require_starttls=settings.require_starttls,
            authenticator=Authenticator(settings.credentials) if authentication else None,
            auth_required=bool(settings.credentials),
            auth_require_tls=not (settings.allow_insecure or settings.require_tls),
            auth_exclude_mechanism=() if authentication else ("LOGIN", "PLAIN"),
        )

    return await asyncio.get_running_loop().create_server(
        connection, sock=listen(settings.smtp), ssl=context if settings.require_tls else None
    )
