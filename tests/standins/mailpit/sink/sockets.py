"""Listening sockets that behave like Mailpit's: ``[::]`` means IPv4 too, also where there is no IPv6."""

from __future__ import annotations

import socket

from sink.settings import Address


def listen(address: Address) -> socket.socket:
    """Open a listening socket.

    Raises:
        OSError: if the address cannot be bound.
    """
    if address.host != "::":
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", address.port))
