"""The stand-in images: the table of what replaces what, and building what is missing.

A tag carries the hash of everything that went into the image, so an unchanged one is there at once and a
changed one is rebuilt. Beside it, a tag that people can remember points at the newest build.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path

from tools import engine

FOLDER = Path(__file__).parent.parent / "tests" / "standins"
COMPOSE = Path(__file__).parent.parent / "{{cookiecutter.project_slug}}" / "docker-compose.yml"
# The images that start from nothing but a suite of Debian; all others start from one of these.
BASES = {"standin/base:trixie": "trixie", "standin/base:sid": "sid"}
# Two builds keep two cores busy: unpacking waits for the disk while another one downloads.
_WORKERS = 3
_BUILD_SECONDS = 900
_HASH_CHARACTERS = 12
_FROM_STANDIN = re.compile(r"^FROM (standin/\S+)", re.MULTILINE)
_IMAGE = re.compile(r"^ +image: ([^\s@]+)", re.MULTILINE)
# 1:2.4.5+dfsg1-4 is 2.4.5; what Debian adds is the epoch in front and its own revision behind.
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)*)")
_TAKES_PINS = re.compile(r"^ARG PINS$", re.MULTILINE)

Progress = Callable[[str, str], None]


class StandinError(Exception):
    """A stand-in is missing, or could not be built."""


@dataclass(frozen=True)
class Image:
    """One stand-in: its folder, its readable tag, and the images that it takes the place of.

    ``package`` is the Debian package that gives it its version; ``differs`` says why Debian is known to have
    another version than the one that is pinned.
    """

    name: str
    tag: str
    replaces: tuple[str, ...] = ()
    megabytes: int = 0
    package: str = ""
    differs: str = ""

    @property
    def folder(self) -> Path:
        """Where the build's files are."""
        return FOLDER / ("base" if self.tag in BASES else self.name)

    def matches(self, reference: str) -> bool:
        """Whether this stand-in honours the contract of ``reference`` (a NAME:TAG)."""
        return any(fnmatchcase(reference, pattern) for pattern in self.replaces)

    @cached_property
    def parents(self) -> frozenset[str]:
        """The tags of the stand-ins that this one's Dockerfile starts from."""
        if self.tag in BASES:
            return frozenset()
        return frozenset(_FROM_STANDIN.findall((self.folder / "Dockerfile").read_text()))

    @cached_property
    def takes_pins(self) -> bool:
        """Whether its Dockerfile asks for the pinned versions (``ARG PINS``)."""
        return self.tag not in BASES and bool(_TAKES_PINS.search((self.folder / "Dockerfile").read_text()))


class Table:
    """All stand-ins, as ``tests/standins/images.toml`` lists them, and the bases that they share."""

    def __init__(self, path: Path = FOLDER / "images.toml") -> None:
        """Read the table.

        Raises:
            StandinError: if an image starts from a stand-in that the table does not have.
        """
        data = tomllib.loads(path.read_text())
        listed = [
            Image(name, **{**entry, "replaces": tuple(entry["replaces"])})
            for name, entry in data["images"].items()
        ]
        bases = [Image(f"base-{suite}", tag) for tag, suite in BASES.items()]
        self.images = {image.tag: image for image in [*bases, *listed]}
        self.left_alone: dict[str, str] = data["left_alone"]
        for image in listed:
            for tag in image.parents - self.images.keys():
                raise StandinError(f"{image.folder}/Dockerfile: there is no stand-in {tag}")
        self._tags: dict[str, str] = {}

    def find(self, reference: str) -> Image | None:
        """The stand-in for an image; nothing for one that is left alone.

        Raises:
            StandinError: if the table knows nothing of it.
        """
        plain = plain_reference(reference)
        for image in self.images.values():
            if image.matches(plain):
                return image
        if any(fnmatchcase(plain, pattern) for pattern in self.left_alone):
            return None
        raise StandinError(
            f"no stand-in honours {plain}: add it to {FOLDER / 'images.toml'}, or use one of "
            + ", ".join(pattern for image in self.images.values() for pattern in image.replaces)
        )

    @cached_property
    def pins(self) -> dict[str, str]:
        """The version that the Compose file pins, by the name of each image that has a Debian package."""
        packaged = [image for image in self.images.values() if image.package]
        found = {image.name: pinned(image.matches) for image in packaged}
        for name in [name for name, version in found.items() if not version]:
            raise StandinError(f"{FOLDER}/images.toml: {name} has a package, but no pin in the Compose file")
        return found

    @property
    def wanted(self) -> str:
        """The versions that Debian is asked for, as ``PACKAGE=VERSION`` with spaces between them."""
        packaged = [image for image in self.images.values() if image.package and not image.differs]
        return " ".join(f"{image.package}={self.pins[image.name]}" for image in packaged)

    def built_tag(self, image: Image) -> str:
        """The tag that names exactly this state of the image's files, pins, and of those it starts from."""
        if image.tag not in self._tags:
            parents = [self.built_tag(self.images[tag]) for tag in sorted(image.parents)]
            extra = [tag.encode() for tag in parents]
            if image.tag in BASES:
                extra = [_bundle(), image.tag.encode()]
            elif image.takes_pins:
                extra.append(self.wanted.encode())
            digest = _hash(image.folder, extra)
            self._tags[image.tag] = f"{image.tag.partition(':')[0]}:{digest}"
        return self._tags[image.tag]


def pinned(matches: Callable[[str], bool]) -> str:
    """The version in the tag of the first image of the Compose file that ``matches``; empty if none does."""
    for reference in _IMAGE.findall(COMPOSE.read_text()):
        if matches(reference):
            return upstream(reference.rpartition(":")[2])
    return ""


def upstream(version: str) -> str:
    """The number that the makers gave a release, out of a Debian version or an image's tag."""
    found = _UPSTREAM.match(version)
    return found[1] if found else version


def plain_reference(reference: str) -> str:
    """An image's NAME:TAG without digest, and without what Docker adds to short names.

    ``docker.io/library/nginx:1.30@sha256:…`` is ``nginx:1.30``; without a tag it is ``latest``.
    """
    name = reference.partition("@")[0]
    name = re.sub(r"^(index\.)?docker\.io/", "", name)
    name = name.removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _bundle() -> bytes:
    """The machine's certificates: the base image passes them on, so it changes with them."""
    path = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    return path.read_bytes() if path.is_file() else b""


def _hash(folder: Path, extra: list[bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            executable = bool(path.stat().st_mode & 0o100)
            digest.update(f"{path.relative_to(folder)}\0{executable}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    for part in extra:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:_HASH_CHARACTERS]


def present() -> set[str]:
    """The tags of all stand-ins that the engine has."""
    listing = engine.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=standin/*"]
    )
    if listing.returncode:
        raise StandinError(f"the engine does not list its images: {listing.stderr.strip()}")
    return set(listing.stdout.split())


def build(progress: Progress, *, table: Table | None = None, fresh: bool = False) -> list[str]:
    """Build every stand-in that is missing, parents first, and return the names of those that were built.

    Args:
        progress: is told (name, state) with state one of ``building``, ``built``, ``there``, ``failed``.
        table: which stand-ins; default is the repository's own table.
        fresh: build all of them again, with today's packages.

    Raises:
        StandinError: if one fails; its log is part of the message.
    """
    table = table or Table()
    with engine.lock("standins"):
        there = set() if fresh else present()
        missing = {tag for tag, image in table.images.items() if table.built_tag(image) not in there}
        for tag in table.images.keys() - missing:
            progress(table.images[tag].name, "there")
        for tag in table.images.keys() - missing:
            engine.run(["docker", "tag", table.built_tag(table.images[tag]), tag])
        _build_in_order(table, missing, progress, fresh)
    return sorted(table.images[tag].name for tag in missing)


def _build_in_order(table: Table, missing: set[str], progress: Progress, fresh: bool) -> None:
    order = TopologicalSorter({tag: table.images[tag].parents & missing for tag in missing})
    order.prepare()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(_WORKERS) as pool:
        while order.is_active():
            for tag in order.get_ready():
                running[pool.submit(_build_one, table, table.images[tag], progress, fresh)] = tag
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                tag = running.pop(future)
                if error := future.exception():
                    progress(table.images[tag].name, "failed")
                    pool.shutdown(cancel_futures=True)
                    raise error
                progress(table.images[tag].name, "built")
                order.done(tag)


def _build_one(table: Table, image: Image, progress: Progress, fresh: bool) -> None:
    progress(image.name, "building")
    built = table.built_tag(image)
    if suite := BASES.get(image.tag):
        command = [str(image.folder / "bootstrap.sh"), suite, str(engine.cache_folder() / "base"), built]
    else:
        command = ["docker", "buildx", "build", "--builder", "default", "--load", "--progress", "plain"]
        # Exactly the parents of this checkout, even while another one builds its own.
        for tag in image.parents:
            command += ["--build-context", f"{tag}=docker-image://{table.built_tag(table.images[tag])}"]
        command += ["--build-arg", f"PINS={table.wanted}"] if image.takes_pins else []
        command += ["--no-cache"] if fresh else []
        command += ["--tag", built, str(image.folder)]
    log = engine.cache_folder() / f"build-{image.name}.log"
    with log.open("w") as output:
        result = subprocess.run(command, stdout=output, stderr=output, timeout=_BUILD_SECONDS, check=False)
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise StandinError(f"building the stand-in {image.name} failed (log: {log}):\n{tail}")
    engine.run(["docker", "tag", built, image.tag])
