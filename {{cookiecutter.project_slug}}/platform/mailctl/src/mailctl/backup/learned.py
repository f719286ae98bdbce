"""What rspamd has learned: Valkey's log of changes, as it lies on the disk (`appendonly` in valkey.conf)."""

import os
import tarfile
from pathlib import Path
from typing import IO

from mailctl.backup.parts import extract
from mailctl.core.containers import copy_out
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

SERVICE, VOLUME, OWNER = "valkey", "valkey_data", (999, 1000)
LOG, MANIFEST, FILE = "appendonlydir", "appendonly.aof.manifest", "learned/valkey.tar"
# How often the log is copied before it counts as one that never rests; Valkey replaces it now and then.
ROUNDS = 5
KEYS_OF_MEMBER = (
    'REDISCLI_AUTH="$(sed -n "s/^requirepass //p" /run/secrets/valkey_auth)"'
    " valkey-cli --tls --cacert /run/secrets/internal_ca_crt dbsize"
)
KEYS = 'REDISCLI_AUTH="$(sed -n "s/^requirepass //p" /run/secrets/valkey_auth)" valkey-cli dbsize'


def save(context: Context, folder: Path) -> list[str]:
    """Copy the log. Raises Refused: there is no container, or no whole log.

    Its last change may be cut: Valkey leaves that out when it reads the log (aof-load-truncated).
    """
    (folder / FILE).parent.mkdir()
    for _ in range(ROUNDS):
        with (folder / FILE).open("w+b") as file:
            copy_out(context, SERVICE, f"/data/{LOG}", file)
            if _whole(file):
                return [FILE]
    wrong = f"lacks files that its manifest names, {ROUNDS} times"
    raise Refused(Problem(f"{SERVICE}:/data/{LOG}", wrong, f"make logs SERVICE={SERVICE}; then make backup"))


def put(saved: Path, target: Path) -> None:
    """Write the log into the new folder `target`, which a Valkey that starts then reads."""
    target.mkdir(mode=0o700)
    if os.geteuid() == 0:  # the engine owns a volume that is not empty
        os.chown(target, *OWNER)
        os.chown(target.parent, *OWNER)
    with tarfile.open(saved) as tar:
        extract(tar, saved.name, target, OWNER)


def _whole(file: IO[bytes]) -> bool:
    """Whether all files that the manifest names are there: none is while Valkey replaces its log."""
    try:
        with tarfile.open(fileobj=file) as tar:
            names = {Path(name).name: name for name in tar.getnames()}
            listed = tar.extractfile(names[MANIFEST]) if MANIFEST in names else None
            lines = listed.read().decode().splitlines() if listed else []
    except tarfile.TarError:
        return False
    return bool(lines) and {line.split()[1] for line in lines if line.startswith("file ")} <= names.keys()
