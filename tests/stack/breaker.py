"""What goes wrong on a host, done to one stack: processes die, disks fill up, networks part, scans hang.

Each is a context that ends the fault; `crash` ends by itself: the engine starts again what died. A container
with the host's processes in view does it: what `docker kill` ends counts as stopped by hand and stays down.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stack.stack import Stack, eventually, run

# Enters the mount namespace of a process and covers a folder there with a file system that has no room.
COVER = """
import ctypes, os, sys
pid, folder, verb = sys.argv[1:]
os.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), os.CLONE_NEWNS)
libc = ctypes.CDLL(None, use_errno=True)
room = b"size=4k,nr_inodes=1,mode=1777"
cover, uncover = (lambda at: libc.mount(b"full", at, b"tmpfs", 0, room)), (lambda at: libc.umount2(at, 2))
done = (cover if verb == "cover" else uncover)(folder.encode())
sys.exit(done and os.strerror(ctypes.get_errno()))
"""


@dataclass(frozen=True)
class Breaker:
    """Breaks parts of a stack, and puts each right again."""

    stack: Stack

    @property
    def name(self) -> str:
        return f"{self.stack.project}-breaker"

    def start(self) -> None:
        """Start the container that reaches into the others; it uses an image of the stack that has Python."""
        image = self.stack.inspect("mailserver-api")["Image"]
        rights = ("--privileged", "--pid=host", "--network=none", "--user=0", "--entrypoint=sleep")
        # The image's own label would make it one of the project's containers.
        label = "--label=com.docker.compose.project="
        self.stop()
        self._docker("run", "--detach", "--rm", f"--name={self.name}", label, *rights, image, "infinity")

    def stop(self) -> None:
        subprocess.run(["docker", "rm", "--force", self.name], capture_output=True, timeout=300, check=False)

    def crash(self, service: str) -> None:
        """SIGKILL for every process of a container, as the kernel does when memory runs out."""
        state = self.stack.inspect(service)["State"]
        self._inside("import os, sys; os.kill(int(sys.argv[1]), 9)", str(state["Pid"]))
        eventually(lambda: self.stack.inspect(service)["State"]["StartedAt"] != state["StartedAt"], limit=60)

    @contextmanager
    def down(self, service: str) -> Iterator[None]:
        """The service is stopped, and started again at the end."""
        self.stack.docker("kill", service)
        try:
            yield
        finally:
            self.stack.docker("start", service)
            self.stack.healthy(service)

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """The service takes connections and says nothing: it is alive, and as slow as can be."""
        self.stack.docker("pause", service)
        try:
            yield
        finally:
            self.stack.docker("unpause", service)

    @contextmanager
    def full(self, service: str, folder: str) -> Iterator[None]:
        """No room is left in a folder of the service: each write fails with ENOSPC."""
        pid = str(self.stack.inspect(service)["State"]["Pid"])
        self._inside(COVER, pid, folder, "cover")
        try:
            yield
        finally:
            self._inside(COVER, pid, folder, "uncover")

    @contextmanager
    def cut(self, network: str, service: str) -> Iterator[None]:
        """The service is off one of its networks, and on it again at the end, with its names there."""
        full_name, container = f"{self.stack.project}_{network}", self.stack.container(service)
        aliases = self.stack.inspect(service)["NetworkSettings"]["Networks"][full_name]["Aliases"] or [
            service
        ]
        self._docker("network", "disconnect", full_name, container)
        try:
            yield
        finally:
            self._docker("network", "connect", *(f"--alias={a}" for a in aliases), full_name, container)

    @contextmanager
    def tokens(self, *lines: str) -> Iterator[None]:
        """The file of the API's tokens holds these lines."""
        file = Path(self.stack.info["api_token_file"])
        before = file.read_text()
        file.write_text("\n".join(lines) + "\n")
        try:
            yield
        finally:
            file.write_text(before)

    def _inside(self, program: str, *words: str) -> None:
        self._docker("exec", self.name, "python3", "-c", program, *words)

    def _docker(self, *words: str) -> None:
        run("docker", *words, cwd=self.stack.repository, limit=120)


def running(stack: Stack) -> Iterator[Breaker]:
    """A breaker for the stack; what it needs ends with the iterator."""
    breaker = Breaker(stack)
    breaker.start()
    try:
        yield breaker
    finally:
        breaker.stop()
