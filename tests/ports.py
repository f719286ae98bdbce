"""Ports for servers that tests start."""

import random
import socket


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses.

    None of those that the kernel gives to whoever names none: any connection of another test could be given
    it until the server of this one listens.
    """
    dice = random.SystemRandom()
    while True:
        port = dice.randrange(10_000, 20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
