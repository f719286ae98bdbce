"""The stack as people reach it: by its real names, over TLS.

An nginx of the tests' own takes Cloudflare's place, on the network by which the tunnel comes in: TLS ends
there. Webmail and account pages get the names that docker-compose.yml gives them, in place of those of the
local trial.
"""

from __future__ import annotations

import json
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.stack.stack import Stack, eventually, run

#: What differs in the local trial.
NAMES = {"roundcube": ("ACCOUNT_URL",), "usermgmt": ("WEBMAIL_URL", "ACCOUNT_HOST", "ADMIN_HOST")}
REPLACE = f"""from pathlib import Path
from mailctl.core.context import Context
from mailctl.core.local_stack import LocalStack
from mailctl.core.output import Output
words = ("--detach", "--no-build", "--no-deps", "--wait", "--wait-timeout=300")
LocalStack.of(Context(Path.cwd(), Output(True))).compose.run("up", *words, *{tuple(NAMES)})"""
NGINX = """pid /tmp/nginx.pid; error_log /dev/stderr; events {}
http { access_log off; server {
  listen 443 ssl; ssl_certificate /edge/tls.pem; ssl_certificate_key /edge/tls.pem;
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-Proto https;
  proxy_set_header CF-Connecting-IP $remote_addr;
  location / { proxy_pass http://nginx; }
} }
"""


@dataclass(frozen=True)
class Sites:
    """First pages of webmail and account, and what a browser needs to know to find and trust them."""

    webmail: str
    account: str
    flags: tuple[str, ...]


@contextmanager
def real_sites(stack: Stack, folder: Path) -> Iterator[Sites]:
    """Webmail and account pages behind TLS; afterwards they are the local trial's again."""
    services = yaml.safe_load((stack.repository / "docker-compose.yml").read_text())["services"]
    found = {name: services[name]["environment"] for name in NAMES}
    real = {name: {key: found[name][key] for key in keys} for name, keys in NAMES.items()}
    webmail, account = real["usermgmt"]["WEBMAIL_URL"], real["roundcube"]["ACCOUNT_URL"]
    hosts = [str(urlsplit(url).hostname) for url in (webmail, account)]
    certificate = trustme.CA().issue_cert(*hosts)
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "tls.pem")
    (folder / "nginx.conf").write_text(NGINX)
    # As on a real server, where nothing turns it off.
    real["usermgmt"]["COOKIE_SECURE"] = "true"
    override = folder / "real-names.yml"
    override.write_text(json.dumps({"services": {name: {"environment": env} for name, env in real.items()}}))
    try:
        replace(stack, override)
        with nginx(stack, folder) as address:
            rules = ",".join(f"MAP {host} {address}:443" for host in hosts)
            trusted = f"--ignore-certificate-errors-spki-list={fingerprint(certificate)}"
            eventually(lambda: socket.create_connection((address, 443)).close() is None)
            for host in hosts:
                eventually(lambda h=host: served(stack, h), limit=180)
            yield Sites(f"{webmail}/", f"{account}/", (f"--host-resolver-rules={rules}", trusted))
    finally:
        replace(stack)
        for host in ("127.0.0.1", "localhost"):
            eventually(lambda h=host: served(stack, h), limit=180)


def replace(stack: Stack, *overrides: Path) -> None:
    """Start webmail and account pages anew, with these files beside those of the stack."""
    asked = Stack(stack.repository, stack.project, (*stack.overrides, *overrides), stack.first_port)
    run(".venv/bin/python", "-c", REPLACE, cwd=stack.repository, env=asked.environment)
    # Each of its processes remembers for ten seconds where these were; one that is new asks.
    # Not by `docker kill`: the engine would never again start it by itself.
    stack.exec("nginx", "sh", "-c", "kill -HUP 1")


@contextmanager
def nginx(stack: Stack, folder: Path) -> Iterator[str]:
    """The address of what stands where Cloudflare's tunnel ends."""
    name, image = f"{stack.project}-tls-edge", stack.inspect("nginx")["Image"]
    # The label would make it one of the project's containers.
    options = (f"--name={name}", f"--network={stack.project}_edge", "--label=com.docker.compose.project=")
    options += ("--user=0", f"--volume={folder}:/edge:ro", "--entrypoint=nginx", image)
    run("docker", "run", "--detach", *options, "-c", "/edge/nginx.conf", "-g", "daemon off;", cwd=folder)
    try:
        found = json.loads(run("docker", "inspect", name, cwd=folder))[0]["NetworkSettings"]["Networks"]
        yield found[f"{stack.project}_edge"]["IPAddress"]
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=300, check=False)


def served(stack: Stack, host: str) -> bool:
    """Whether nginx inside finds a site's container: it goes on asking the one before, for some seconds."""
    return httpx.get(stack.info["webmail"], headers={"Host": host}, timeout=30).status_code < 500


def fingerprint(certificate: trustme.LeafCert) -> str:
    """How Chromium is told which key to trust."""
    key = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).public_key()
    return b64encode(
        sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()
