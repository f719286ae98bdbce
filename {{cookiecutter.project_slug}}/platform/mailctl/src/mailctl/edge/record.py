"""Keeps what Cloudflare answered as files, without secrets: the fake of the tests is held against them.

The names of all fields stay, and of their values only numbers, switches and the API's own words. Ids become
stand-ins, the same ones everywhere; whatever else is text becomes a mark of its kind.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    import httpx

# Fields whose values are words of the API.
WORDS = frozenset({"type", "status", "decision", "field", "cron", "code", "storage_class", "config_src"})
ROOT = "/client/v4"
ID = re.compile(r"\b(?:[0-9a-f]{32,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
ADDRESS = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")


class Recorder:
    """`names` are what the operator chose, such as the domain: they become stand-ins, too."""

    def __init__(self, folder: Path, names: Iterable[str], secret: str) -> None:
        if folder.exists() and any(folder.iterdir()):
            raise Refused(Problem("--record", "the folder is not empty", "name a new one", value=str(folder)))
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.count = folder, 0
        self.stand_ins: dict[str, str] = {secret: "(token)"}
        for number, name in enumerate(sorted(set(names), key=len, reverse=True), 1):
            self.stand_ins[name] = f"name-{number}"

    def client(self) -> "httpx.Client":
        """The SDK's own HTTP client, which shows each answer to `keep`."""
        from cloudflare import DefaultHttpxClient

        return DefaultHttpxClient(event_hooks={"response": [self.keep]})

    def keep(self, answer: "httpx.Response") -> None:
        """One file for one answer, numbered in their order."""
        self.count += 1
        url = answer.request.url
        path = self.scrubbed(unquote(url.path).partition(ROOT)[2])
        try:
            body = self.redacted(json.loads(answer.read()))
        except ValueError:
            body = f"({answer.headers.get('content-type', '').partition(';')[0]})"
        row = {"method": answer.request.method, "path": path, "query": sorted(url.params.keys())}
        text = json.dumps({**row, "status": answer.status_code, "body": body}, indent=2) + "\n"
        slug = re.sub(r"[^a-z0-9_]+", "-", path.lower())
        (self.folder / f"{self.count:03}-{answer.request.method.lower()}{slug}.json").write_text(text)

    def redacted(self, value: Any, key: str = "") -> Any:
        """The value with nothing in it that is somebody's."""
        if isinstance(value, dict):
            return {self.scrubbed(name): self.redacted(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.redacted(inner, key) for inner in value]
        if not isinstance(value, str):
            return value
        if key in WORDS or key == "message":
            return self.scrubbed(value)
        if ID.fullmatch(value):
            return self._stand_in(value)
        return next((mark for pattern, mark in KINDS if pattern.fullmatch(value)), "(text)")

    def scrubbed(self, text: str) -> str:
        """Text of the API in which ids, addresses and names are replaced."""
        for name, stand_in in self.stand_ins.items():
            text = text.replace(name, stand_in)
        return ID.sub(lambda found: self._stand_in(found[0]), ADDRESS.sub("(address)", text))

    def _stand_in(self, found: str) -> str:
        ids = sum(value.startswith("id-") for value in self.stand_ins.values())
        return self.stand_ins.setdefault(found, f"id-{ids + 1}")


KINDS = ((re.compile(""), ""), (ADDRESS, "(address)"), (TIME, "(time)"))


def names_of(edge: dict[str, Any]) -> list[str]:
    """What stands for this installation in paths and messages."""
    worker = edge["worker"]
    stores = [worker.get("spool", {}).get("bucket"), worker.get("alarms", {}).get("namespace")]
    return [edge["zone"], edge["owner"], edge["tunnel"]["name"], worker["name"], *filter(None, stores)]
