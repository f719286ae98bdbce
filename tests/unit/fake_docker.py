"""A docker that notes its calls and needs no engine."""

from __future__ import annotations

from pathlib import Path

DIGEST = "@sha256:" + "0123456789abcdef" * 4
# Notes its calls; knows the images listed in the file `here`; pulls as the file `pull` says.
DOCKER = """#!/bin/bash
echo "$*" >>STATE/calls
case "$1" in
  image) grep -qxF -- "$3" STATE/here ;;
  images) cat STATE/here ;;
  tag | rm) exit 0 ;;
  create) echo "made-from-$2" ;;
  cp) tar --create --directory "STATE/$(sed 's|.*standin/||; s|:.*||' <<<"$2")" status ;;
  pull) . STATE/pull ;;
  buildx)
    [ ! -e STATE/broken ] || [[ "$*" != *"$(cat STATE/broken)"* ]] || { echo "E: not found"; exit 1; } ;;
esac
"""


class Fake:
    """The fake docker's state."""

    def __init__(self, folder: Path) -> None:
        """Set it up without images, and with a registry that cannot be found."""
        self.folder = folder
        (folder / "here").write_text("")
        self.pull_does('echo "Error: lookup registry: no such host" >&2; exit 1')
        (folder / "docker").write_text(DOCKER.replace("STATE", str(folder)))
        (folder / "docker").chmod(0o755)

    def has(self, *references: str) -> None:
        """Let the engine have these images."""
        (self.folder / "here").write_text("\n".join(references) + "\n")

    def installed(self, image: str, status: str) -> None:
        """Let the stand-in of this name have this list of Debian packages."""
        (self.folder / image).mkdir(exist_ok=True)
        (self.folder / image / "status").write_text(status)

    def pull_does(self, script: str) -> None:
        """Let `docker pull` do this."""
        (self.folder / "pull").write_text(script + "\n")

    def calls(self, command: str) -> list[str]:
        """The calls of one docker command."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(command + " ")]
