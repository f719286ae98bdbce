"""What rspamd has learned: Valkey's log of changes, as it lies on the disk (`appendonly` in valkey.conf)."""

import os
import subprocess
import tarfile
from pathlib import Path

from mailctl.core.containers import all_of, failed
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

SERVICE, VOLUME, OWNER = "valkey", "valkey_data", (999, 1000)
LOG, MANIFEST, FILE = "appendonlydir", "appendonly.aof.manifest", "learned/valkey.tar"
# How often the log is copied before it counts as one that never rests; Valkey replaces it now and then.
ROUNDS, TIME_LIMIT_SECONDS = 5, 600
KEYS = 'REDISCLI_AUTH="$(sed -n "s/^requirepass //p" /run/secrets/valkey_auth)" valkey-cli dbsize'


def save(context: Context, folder: Path) -> list[str]:
    """Copy the log; its container need not run. Raises Refused: there is no container, or no whole log.

    Its last change may be cut: Valkey leaves that out when it reads the log (aof-load-truncated).
    """
    found = all_of(context).get(SERVICE)
    if found is None:
        wrong = "has no container: its volume with what rspamd has learned cannot be read"
        raise Refused(Problem(f"service {SERVICE}", wrong, f"docker compose up -d {SERVICE}"))
    (folder / FILE).parent.mkdir()
    for _ in range(ROUNDS):
        with (folder / FILE).open("wb") as file:
            command = ["docker", "cp", f"{found.id}:/data/{LOG}", "-"]
            limit = TIME_LIMIT_SECONDS
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=limit, check=False)
        if done.returncode:
            raise Refused(failed("docker cp", done.stderr))
        if _whole(folder / FILE):
            return [FILE]
    wrong = f"lacks files that its manifest names, {ROUNDS} times"
    raise Refused(Problem(f"{SERVICE}:/data/{LOG}", wrong, f"make logs SERVICE={SERVICE}; then make backup"))


def put(saved: Path, target: Path) -> None:
    """Write the log into the new folder `target`, which a Valkey that starts then reads."""
    owner = OWNER if os.geteuid() == 0 else (-1, -1)
    target.mkdir(mode=0o700)
    os.chown(target, *owner)
    with tarfile.open(saved) as tar:
        for member in (one for one in tar if one.isreg()):
            content, path = tar.extractfile(member), target / Path(member.name).name
            with path.open("xb") as file:
                while content and (piece := content.read(1 << 20)):
                    file.write(piece)
                os.fchmod(file.fileno(), 0o600)
                os.fchown(file.fileno(), *owner)


def _whole(path: Path) -> bool:
    """Whether all files that the manifest names are there: none is while Valkey replaces its log."""
    try:
        with tarfile.open(path) as tar:
            names = {Path(name).name: name for name in tar.getnames()}
            listed = tar.extractfile(names[MANIFEST]) if MANIFEST in names else None
            lines = listed.read().decode().splitlines() if listed else []
    except tarfile.TarError:
        return False
    return bool(lines) and {line.split()[1] for line in lines if line.startswith("file ")} <= names.keys()
