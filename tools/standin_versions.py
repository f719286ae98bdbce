"""Which version each stand-in has, and which one the Compose file pins.

Debian's sid moves on: a pinned version is there for a while and then gives way to the next. apt is asked for
the pin (``tests/standins/sid/prefer``) and takes the newest when it has no such version. So what was built is
read from the image itself, and every difference is a note that builds and test reports show.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile

from tools import engine
from tools.standin_images import Image, Table, upstream


def built(table: Table) -> dict[str, str]:
    """The version in each built stand-in that has a Debian package, by name; each image is read once."""
    memory = engine.cache_folder() / "standin-versions.json"
    known: dict[str, str] = json.loads(memory.read_text()) if memory.is_file() else {}
    found: dict[str, str] = {}
    for image in table.images.values():
        if image.package:
            tag = table.built_tag(image)
            found[tag] = known.get(tag) or _installed(tag, image)
    memory.write_text(json.dumps(found))
    return {image.name: found[table.built_tag(image)] for image in table.images.values() if image.package}


def _installed(tag: str, image: Image) -> str:
    """Read a package's version from the image's own list: some images have no program that could tell it."""
    container = engine.run(["docker", "create", tag]).stdout.strip()
    try:
        command = ["docker", "cp", f"{container}:/var/lib/dpkg/status", "-"]
        copied = subprocess.run(command, capture_output=True, check=False)
    finally:
        engine.run(["docker", "rm", "--volumes", container])
    if copied.returncode:
        raise engine.EngineError(f"the version of {tag} cannot be read: {copied.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as archive:
        status = archive.extractfile("status")
        text = status.read().decode() if status else ""
    stanza = re.search(rf"^Package: {re.escape(image.package)}\n(?:.+\n)*?Version: (\S+)", text, re.MULTILINE)
    return upstream(stanza[1]) if stanza else "of an unknown version"


def notes(table: Table) -> list[str]:
    """One line for each stand-in that is of another version than the pinned one; none when all are exact."""
    lines = []
    for name, version in built(table).items():
        if version != table.pins[name]:
            [reason] = [image.differs for image in table.images.values() if image.name == name]
            line = f"Stand-in {name} {version} instead of the pin {table.pins[name]}"
            lines.append(f"{line}: {reason or 'Debian has gone on since it was pinned'}.")
    return lines
