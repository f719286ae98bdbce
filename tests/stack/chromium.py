#!/usr/bin/env python3
"""Debian's Chromium, to which the kernel tells nothing about networks.

Chromium ends what it is downloading (ERR_NETWORK_CHANGED) when an address comes or goes, and the tests beside
it start and end containers all the time. Here it cannot open the socket on which it would hear of that.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

BROWSER = "/usr/bin/chromium"
# The number of the system call `socket`, and the family of sockets on which the kernel tells such news.
SOCKET, NETLINK = {"x86_64": 41, "aarch64": 198}[os.uname().machine], 16
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOWED, NO_SUCH_FAMILY = 0x7FFF0000, 0x00050000 | 97
# A program of seccomp(2): code, steps if equal, steps if not, value. Offsets are those of seccomp_data.
FILTER = (
    (LOAD, 0, 0, 0),
    (IF_EQUAL, 0, 3, SOCKET),
    (LOAD, 0, 0, 16),
    (IF_EQUAL, 0, 1, NETLINK),
    (RETURN, 0, 0, NO_SUCH_FAMILY),
    (RETURN, 0, 0, ALLOWED),
)
NO_NEW_PRIVILEGES, SECCOMP, BY_FILTER = 38, 22, 2


def hear_nothing() -> None:
    """Keep this process, and what it becomes, from opening such a socket."""
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in FILTER))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(FILTER), ctypes.addressof(steps)))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SECCOMP, BY_FILTER, program, 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    hear_nothing()
    os.execv(BROWSER, [BROWSER, *sys.argv[1:]])  # noqa: S606
