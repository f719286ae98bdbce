"""A server with the right passwords under the name of ours, and a certificate that is not its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from mailctl.secret_files import certificates
from tests.swarm.members import Database

OUR_OWN, OTHER_NAME, OTHER_AUTHORITY = "our own", "of another name", "of another authority"


@contextmanager
def impostor(
    database: Database,
    member: str,
    instead_of: str,
    networks: Sequence[str],
    shown: str,
    command: Sequence[str],
) -> Iterator[str]:
    """Stop the proxies `instead_of`, and have a copy of `member` answer under their name; its container."""
    [name] = database.aliases(instead_of)
    path = database.folder / "compose.yml"
    whole = path.read_text()
    model = yaml.safe_load(whole)
    one = {**model["services"][member], "command": list(command)}
    if member.startswith("mariadb"):
        one["entrypoint"] = ["docker-entrypoint.sh"]
    data = {"mariadb": "/var/lib/mysql", "valkey": "/data"}[name]
    one["volumes"] = [each for each in one["volumes"] if each["target"] != data]
    one["volumes"] += [{"type": "bind", "source": str(_pair(database, name, shown)), "target": "/impostor"}]
    one["tmpfs"] = [*one["tmpfs"], f"{data}:uid=999,mode=777"]
    one["networks"] = {each: {"aliases": [name]} for each in networks}
    model["services"]["impostor"] = one
    path.write_text(yaml.safe_dump(model))
    try:
        database.compose("stop", instead_of)
        database.compose("up", "--detach", "--force-recreate", "impostor")
        yield database.container("impostor")
    finally:
        database.compose("rm", "--stop", "--force", "impostor")
        path.write_text(whole)
        database.compose("up", "--detach", instead_of)


def _pair(database: Database, name: str, shown: str) -> Path:
    """The folder of the certificate that it shows, and its key."""
    pair = database.folder / "impostor"
    pair.mkdir(exist_ok=True)
    if shown == OTHER_AUTHORITY:
        key, ca_key = certificates.new_key(), certificates.new_key()
        ca = certificates.self_signed_ca(b"", ca_key, "another")
        (pair / "crt").write_bytes(certificates.service_certificate(b"", key, ca, ca_key, [name]))
        (pair / "key").write_bytes(key)
    else:
        holder = {OUR_OWN: name, OTHER_NAME: "postfix"}[shown]
        for kind in ("crt", "key"):
            (pair / kind).write_bytes((database.repository / "secrets" / f"{holder}_tls.{kind}").read_bytes())
    for path in (pair, *pair.iterdir()):
        path.chmod(0o755)
    return pair
