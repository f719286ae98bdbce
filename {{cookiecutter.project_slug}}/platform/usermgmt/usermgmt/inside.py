"""The socket by which programs inside the container, and nobody else, call the running application.

A command is answered at once: nothing is imported or opened for it. Imports the standard library alone.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from http.client import HTTPConnection
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: In memory, as the root file system is read-only; gunicorn.conf.py opens it for the container's user alone.
SOCKET = "/dev/shm/usermgmt.sock"  # noqa: S108 - the container's own
#: In the environment of a request that never came over the network: no header can set this.
INSIDE = "usermgmt.command-line"
#: A large import hashes a thousand passwords on one core.
SECONDS = 600


class MarkInside:
    """Marks the requests that came by the socket."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        taken = environ.get("gunicorn.socket")
        environ[INSIDE] = getattr(taken, "family", None) == socket.AF_UNIX
        return self._app(environ, start_response)


class Answer(NamedTuple):
    """What the application says."""

    status: int
    media_type: str
    body: bytes


class Connection(HTTPConnection):
    """HTTP over a socket of this host."""

    def __init__(self, path: str) -> None:
        super().__init__("127.0.0.1", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Raises OSError: nobody listens there."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def ask(self, method: str, path: str, body: bytes | None, media_type: str) -> Answer:
        """Send a request and read its answer; the connection is used again for the next one."""
        self.request(method, path, body, {} if body is None else {"Content-Type": media_type})
        answer = self.getresponse()
        return Answer(answer.status, answer.headers.get_content_type(), answer.read())
