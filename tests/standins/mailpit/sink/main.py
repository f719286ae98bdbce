"""The program: serves until it is told to stop, or asks a running one whether it is ready."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import sys
import threading

from sink import smtp, web
from sink.settings import Settings, SettingsError
from sink.sockets import listen
from sink.store import Store

_HEALTH_SECONDS = 5


def main() -> None:
    """Run ``mailpit`` or ``mailpit readyz``; exits with 1 if settings are refused or it is not ready."""
    try:
        settings = Settings.load(os.environ)
    except (SettingsError, ValueError) as error:
        sys.exit(f"mailpit stand-in: {error}")
    if sys.argv[1:] == ["readyz"]:
        sys.exit(_ready(settings))
    if sys.argv[1:]:
        sys.exit(f"mailpit stand-in: unknown arguments {sys.argv[1:]}, settings come from the environment")
    asyncio.run(_serve(settings))


def _ready(settings: Settings) -> int:
    host = settings.web.host if settings.web.host not in ("::", "0.0.0.0") else "localhost"  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.web.port, timeout=_HEALTH_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


async def _serve(settings: Settings) -> None:
    store = Store(settings.max_messages)
    server = web.Server(listen(settings.web), store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    async with await smtp.serve(settings, store):
        print(f"SMTP on port {settings.smtp.port}, HTTP on port {settings.web.port}", flush=True)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
    server.shutdown()
