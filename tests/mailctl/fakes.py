"""Stand-ins for Docker: an executable for the CLI, and an engine API that the real SDK talks to."""

import json
import os
import re
import socketserver
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"

SCRIPT = """#!{python} -ES
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
command = sys.argv[1:]
READERS = ("--batch", "destinations", "host-news", "ensure")
reads = any(word.endswith("-stdin") or word in READERS for word in command)
call = {{"arguments": command, "stdin": sys.stdin.read() if reads else None, "environ": dict(os.environ)}}
with open(folder / "calls.jsonl", "a") as log:
    log.write(json.dumps(call) + "\\n")
for answer in json.loads((folder / "answers.json").read_text()):
    if answer["word"] in command:
        sys.stdout.write(answer["stdout"])
        sys.stderr.write(answer["stderr"])
        sys.exit(answer["code"])
"""


class FakeDocker:
    """`answer("build", stdout=…, code=…)` sets what a call that has that word does; all others succeed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "docker").write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        (folder / "docker").chmod(0o755)
        self._answers: list[dict[str, Any]] = []
        self._save()

    def answer(self, word: str, stdout: str = "", stderr: str = "", code: int = 0) -> None:
        self._answers.insert(0, {"word": word, "stdout": stdout, "stderr": stderr, "code": code})
        self._save()

    def configure(self, **services: Any) -> None:
        """What `docker compose config` says."""
        self.answer("config", json.dumps({"name": "shop-mail", "services": services, "volumes": {}}))

    @property
    def calls(self) -> list[dict[str, Any]]:
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def calls_with(self, word: str) -> list[dict[str, Any]]:
        return [call for call in self.calls if word in call["arguments"]]

    def _save(self) -> None:
        (self.folder / "answers.json").write_text(json.dumps(self._answers))


def container(service: str, project: str = "shop-mail", **changes: Any) -> dict[str, Any]:
    """A container as the engine describes it: healthy, unless `changes` say otherwise."""
    wanted = {
        "status": "running",
        "health": "healthy",
        "exit_code": 0,
        "restarts": 0,
        "image": f"example/{service}:1.2@sha256:{'0' * 64}",
        "memory": 512 * 1024**2,
        "ports": {},
        "health_output": "",
        "restart_policy": "unless-stopped",
        "log": "",
        "image_id": "",
    } | changes
    health = {"Status": wanted["health"], "Log": [{"Output": wanted["health_output"]}]}
    return {
        "Id": f"{project}-{service}".ljust(64, "0"),
        "Name": f"/{project}-{service}-1",
        "RestartCount": wanted["restarts"],
        "Image": wanted["image_id"],
        "State": {
            "Status": wanted["status"],
            "ExitCode": wanted["exit_code"],
            "StartedAt": "2026-01-02T03:04:05.678901234Z",
            **({"Health": health} if wanted["health"] else {}),
        },
        "Config": {
            "Image": wanted["image"],
            "Labels": {PROJECT: project, SERVICE: service, "com.docker.compose.oneoff": "False"},
            "Tty": False,
        },
        "HostConfig": {"Memory": wanted["memory"], "RestartPolicy": {"Name": wanted["restart_policy"]}},
        "NetworkSettings": {"Ports": wanted["ports"]},
        "log": wanted["log"],
    }


def _stamped(log: str, query: dict[str, list[str]]) -> str:
    """A log as the engine gives it: its last lines, with times a millisecond apart where they are wanted."""
    lines = log.splitlines()
    if query.get("timestamps", ["0"])[0] in ("1", "True"):
        lines = [
            f"2026-01-02T03:04:{n // 1000:02}.{n % 1000:03}000000Z {line}" for n, line in enumerate(lines)
        ]
    tail = query.get("tail", ["all"])[0]
    return "".join(f"{line}\n" for line in (lines if tail == "all" else lines[-int(tail) :]))


STATS: dict[str, Any] = {
    "memory_stats": {"usage": 300 * 1024**2, "stats": {"inactive_file": 44 * 1024**2}},
    "cpu_stats": {"cpu_usage": {"total_usage": 2_500}, "system_cpu_usage": 20_000, "online_cpus": 2},
    "precpu_stats": {"cpu_usage": {"total_usage": 2_000}, "system_cpu_usage": 10_000},
}


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves `containers`; each entry of `timeline` replaces them at one further listing."""

    daemon_threads = True
    # mailctl asks about all services at once.
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        self.path = path
        self.containers: list[dict[str, Any]] = []
        self.timeline: list[list[dict[str, Any]]] = []
        self.images: set[str] = set()
        self.upstream: dict[str, str] = {}
        #: The folder that each volume binds to.
        self.volumes: dict[str, str] = {}
        self.listing_fails_with: str | None = None
        #: What a Swarm calls this host.
        self.name = "mail2"
        super().__init__(str(path), _Handler)

    def __enter__(self) -> "FakeEngine":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        os.unlink(self.path)

    def listing(self, labels: list[str]) -> list[dict[str, Any]]:
        if self.timeline:
            self.containers = self.timeline.pop(0)
        wanted = dict(label.split("=", 1) for label in labels)
        return [c for c in self.containers if wanted.items() <= c["Config"]["Labels"].items()]

    def find(self, container_id: str) -> dict[str, Any] | None:
        return next((c for c in self.containers if c["Id"] == container_id), None)


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine

    def do_GET(self) -> None:
        url = urlparse(self.path)
        path = re.sub(r"^/v[\d.]+", "", url.path)
        if path == "/_ping":
            return self._send(b"OK")
        if path == "/version":
            return self._json({"ApiVersion": "1.44", "Version": "26.1"})
        if path == "/info":
            return self._json({"DockerRootDir": str(self.server.path.parent), "Name": self.server.name})
        if path == "/containers/json" and self.server.listing_fails_with:
            return self._send(json.dumps({"message": self.server.listing_fails_with}).encode(), 500)
        if path == "/containers/json":
            filters = json.loads(parse_qs(url.query).get("filters", ["{}"])[0])
            return self._json(self.server.listing(filters.get("label", [])))
        if match := re.fullmatch(r"/containers/(\w[\w-]*)/(json|stats|logs)", path):
            return self._container(match[1], match[2])
        if match := re.fullmatch(r"/images/(.+)/json", path):
            known = unquote(match[1]) in self.server.images
            return self._json({"Id": "sha256:1", "RepoTags": []}) if known else self._missing()
        if (match := re.fullmatch(r"/volumes/(.+)", path)) and match[1] in self.server.volumes:
            folder = self.server.volumes[match[1]]
            return self._json({"Name": match[1], "Mountpoint": folder, "Options": {"device": folder}})
        if match := re.fullmatch(r"/distribution/(.+)/json", path):
            digest = self.server.upstream.get(unquote(match[1]))
            return self._json({"Descriptor": {"digest": digest}}) if digest else self._missing()
        return self._missing()

    def _container(self, container_id: str, what: str) -> None:
        found = self.server.find(container_id)
        if found is None:
            return self._missing()
        if what == "logs":
            text = _stamped(found["log"], parse_qs(urlparse(self.path).query)).encode()
            return self._send(struct.pack(">BxxxL", 1, len(text)) + text)
        return self._json(found if what == "json" else STATS)

    def _missing(self) -> None:
        self._send(json.dumps({"message": "no such thing"}).encode(), 404)

    def _json(self, document: Any) -> None:
        self._send(json.dumps(document).encode(), content_type="application/json")

    def _send(self, body: bytes, code: int = 200, content_type: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests look at what mailctl prints."""
