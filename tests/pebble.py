"""Pebble, the ACME server that Let's Encrypt made for tests, as a program on this machine."""

import json
import ssl
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import trustme

from tests.ports import free_port


class Pebble:
    """`with Pebble(folder, dns) as it: … it.directory, it.bundle, it.roots()`.

    `dns` is where it looks names up; certificates live for `days`.
    """

    def __init__(self, folder: Path, dns: str, days: int = 90) -> None:
        folder.mkdir()
        self.folder, self.dns, authority = folder, dns, trustme.CA()
        #: Of the two the first takes orders.
        self.ports = ports = [free_port() for _ in range(2)]
        own = authority.issue_cert("127.0.0.1")
        own.cert_chain_pems[0].write_to_path(folder / "crt.pem")
        own.private_key_pem.write_to_path(folder / "key.pem")
        #: What a client trusts that talks to the server; what it signs has another authority.
        self.bundle = folder / "bundle.pem"
        authority.cert_pem.write_to_path(self.bundle)
        settings = {
            "listenAddress": f"127.0.0.1:{ports[0]}",
            "managementListenAddress": f"127.0.0.1:{ports[1]}",
            "certificate": str(folder / "crt.pem"),
            "privateKey": str(folder / "key.pem"),
            "httpPort": 1,
            "tlsPort": 1,
            "retryAfter": {"authz": 1, "order": 1},
            "certificateValidityPeriod": days * 86400,
        }
        (folder / "config.json").write_text(json.dumps({"pebble": settings}))

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.ports[0]}/dir"

    def __enter__(self) -> "Pebble":
        words = ["pebble", "-config", "config.json", "-strict", "-dnsserver", self.dns]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                words,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The library tries a call again once, and two rejected nonces in a row would end an order.
                env={
                    "PEBBLE_VA_NOSLEEP": "1",
                    "PEBBLE_WFE_NONCEREJECT": "0",
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                },
            )
        end, nap = time.monotonic() + 120, threading.Event()
        while True:
            try:
                self._get(self.directory)
                return self
            except OSError:
                said = (self.folder / "log").read_text()[-500:]
                assert self.process.poll() is None and time.monotonic() < end, said
            nap.wait(0.05)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def roots(self) -> str:
        """The certificate of the authority that signs what it hands out, as PEM."""
        return self._get(f"https://127.0.0.1:{self.ports[1]}/roots/0").decode()

    def _get(self, url: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.bundle))
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:  # noqa: S310 - https alone
            return bytes(answer.read())
