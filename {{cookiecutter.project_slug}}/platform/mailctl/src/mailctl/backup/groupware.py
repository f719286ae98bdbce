"""Calendars and address books in a snapshot: Radicale's folder as a tar. Each entry is a file of its own."""

import os
import subprocess
import tarfile
from pathlib import Path

from mailctl.core.containers import all_of, copy_out, failed
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.groupware import FOLDER, OWNER, SERVICE

FILE = "groupware/collections.tar"
RADICALE = ("python", "-m", "radicale")
HIDDEN, SECONDS = ".Radicale", 600


def save(context: Context, folder: Path) -> list[str]:
    """Copy the folder; Radicale puts files in place whole, so it goes on meanwhile. Raises Refused."""
    (folder / FILE).parent.mkdir()
    with (folder / FILE).open("w+b") as file:
        copy_out(context, SERVICE, FOLDER, file)
    return [FILE]


def put(saved: Path, target: Path) -> int:
    """Write it into the new folder `target`; how many events, tasks and contacts it has. Raises Refused."""
    target.mkdir(mode=0o700)
    try:
        with tarfile.open(saved) as tar:
            tar.extractall(target, filter=_below_the_top)  # noqa: S202 (the filter is tarfile's own)
    except tarfile.TarError as error:
        raise Refused(Problem(saved.name, f"is damaged: {error}", "use another snapshot")) from None
    count = 0
    for folder, _, names in os.walk(target):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            if os.geteuid() == 0:
                os.chown(path, *OWNER, follow_symlinks=False)
        count += sum(not name.startswith(HIDDEN) for name in names if f"/{HIDDEN}" not in folder)
    return count


def verify(context: Context, folder: Path) -> None:
    """Have Radicale read all of it, in a container apart from everything. Raises Refused with its words."""
    found = all_of(context).get(SERVICE)
    if found is None:
        fix = f"docker compose up -d {SERVICE}"
        raise Refused(Problem(f"service {SERVICE}", "has no container", fix))
    apart = ["--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--memory=256m", "--tmpfs=/tmp"]
    config = f"--volume={context.repo}/config/{SERVICE}:/etc/{SERVICE}:ro"
    data = f"--volume={folder}:/var/lib/{SERVICE}"
    # Without the second option an entry that cannot be read is skipped, and all seems well.
    words = ["--config=/etc/radicale/config", "--no-storage-skip-broken-item", "--verify-storage"]
    image = found.image_id or found.image
    command = ["docker", "run", *apart, config, data, image, *RADICALE, *words]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise Refused(failed("radicale --verify-storage", done.stderr))


def _below_the_top(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Without the folder that `docker cp` puts around it; tarfile refuses what leads elsewhere."""
    return tarfile.data_filter(member.replace(name=member.name.partition("/")[2] or ".", deep=False), path)
