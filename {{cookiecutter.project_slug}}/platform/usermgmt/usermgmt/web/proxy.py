"""Whom to believe about the client: nginx, and nobody else who reaches this port."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: A container that was recreated has another address; the name is looked up again after this time, and for an
#: unknown address already after the shorter one: it may be a new one of several.
FRESH_SECONDS, AGAIN_SECONDS = 10.0, 1.0


class Addresses:
    """The addresses of a container, by its name; none while it is unknown: nobody is believed by mistake."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._known: tuple[float, frozenset[str]] = (float("-inf"), frozenset())

    def __contains__(self, address: object) -> bool:
        at, found = self._known
        age = self._clock() - at
        if age > FRESH_SECONDS or (address not in found and age > AGAIN_SECONDS):
            try:
                found = frozenset(socket.gethostbyname_ex(self._name)[2])
            except OSError:
                found = frozenset()
            self._known = (self._clock(), found)
        return address in found


def through_nginx() -> bool:
    """Whether this request came by nginx, not straight from a container of one of our networks."""
    return "werkzeug.proxy_fix.orig" in request.environ


def only_from(peer: Addresses) -> None:
    """Abort with 404 what does not come straight from that container."""
    if through_nginx() or request.remote_addr not in peer:
        abort(404)


class OnlyNginx:
    """Applies X-Forwarded-For and X-Forwarded-Proto to requests that come from the proxy itself.

    Others on the network are served as the clients that they are: they cannot pass as somebody else to guess
    passwords without the limit for one address, nor write a false address into the audit log.
    """

    def __init__(self, app: WSGIApplication, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._plain, self._behind_proxy = app, ProxyFix(app, x_for=1, x_proto=1)
        self._nginx = Addresses(name, clock)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        forwarded = "HTTP_X_FORWARDED_FOR" in environ and environ.get("REMOTE_ADDR") in self._nginx
        return (self._behind_proxy if forwarded else self._plain)(environ, start_response)
