"""What the edge and the host tell each other: what is held and the monitor's state out, the spool in."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from mailserver_api.bodies import parsed
from mailserver_api.ledger import Ledger
from mailserver_api.problems import Problem
from mailserver_api.verdicts import Verdict

#: A monitor that last ran so many seconds ago is silent; it runs each minute.
OLD_SECONDS = 600
MAX_REPORT_BYTES = 256 * 1024

_Short = Annotated[str, Field(max_length=1000)]
_Count = Annotated[int, Field(ge=0)]


class Refused(BaseModel):
    """A mail that was refused after its sender had been told yes; `sender` is `from` in JSON."""

    key: _Short
    at: _Count
    sender: _Short = Field(alias="from")
    to: _Short
    verdict: _Short
    text: _Short
    authenticated: bool


class Report(BaseModel):
    """What the Worker says of its spool: how many wait, their bytes, when the oldest came, what was refused.

    Times are in seconds since the epoch.
    """

    waiting: _Count
    bytes: _Count
    oldest: _Count | None
    refused: list[Refused]


_NOTHING: dict[str, Any] = {"at": None, "waiting": 0, "bytes": 0, "oldest": None, "refused": []}


class Monitor:
    """The state file of `mailctl monitor`, written by the host each minute."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self) -> dict[str, Any]:
        """The document; without one, `at` is None and there are no incidents."""
        with contextlib.suppress(OSError, ValueError):
            document = json.loads(self._path.read_bytes())
            if isinstance(document, dict) and isinstance(document.get("incidents"), list):
                return document
        return {"at": None, "incidents": []}

    def is_alive(self) -> bool:
        """Whether the monitor ran lately and knows of nothing critical."""
        state = self.state()
        is_critical = any(incident.get("severity") == "critical" for incident in state["incidents"])
        return time.time() - (state["at"] or 0) < OLD_SECONDS and not is_critical


class Hold:
    """Whether a deployment on the host tries a version: all mail but its canaries' waits."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refuse(self, word: str | None) -> None:
        """Raises Problem: holding, unless there is no file, or the word is the canaries'.

        A file that cannot be read holds as well: waiting is better than being lost.
        """
        try:
            wanted = str(json.loads(self._path.read_bytes())["pass"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, LookupError):
            wanted = ""
        given = hashlib.sha256((word or "").encode("utf-8", "surrogateescape")).hexdigest()
        if not hmac.compare_digest(given.encode(), wanted.encode("utf-8", "surrogatepass")):
            raise Problem(Verdict.HOLDING, "A new version of this server is being tried; send it again.")


class SpoolReports:
    """The newest report on the edge's spool, in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def keep(self, body: bytes) -> None:
        """Replace the report; raises Problem: malformed, or temporary if it cannot be written."""
        report = parsed(Report, body, "send the report that the Email Worker of this version sends")
        await self._keep(json.dumps({"at": int(time.time()), **report.model_dump(by_alias=True)}))

    async def newest(self) -> dict[str, Any]:
        """The report and when it came (`at`, None: never)."""
        with contextlib.suppress(OSError, ValueError):
            report: dict[str, Any] = json.loads(self._path.read_bytes())
            return report
        return _NOTHING

    async def _keep(self, document: str) -> None:
        try:
            await asyncio.to_thread(self._write, document)
        except OSError as error:
            raise Problem(Verdict.TEMPORARY, f"The report cannot be written: {error.strerror}") from error

    def _write(self, document: str) -> None:
        new = self._path.with_suffix(".new")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new.open("w") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


class SharedSpoolReports(SpoolReports):
    """The same beside the outcomes of all replicas: it reaches one of them, and the monitor asks another."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        super().__init__(path)
        self._ledger = ledger

    async def newest(self) -> dict[str, Any]:
        """The report and when it came (`at`, None: never)."""
        rows = await self._ledger.use(
            lambda work: work.rows("SELECT document FROM reports WHERE name = 'spool'")
        )
        if rows is None:
            raise Problem(Verdict.TEMPORARY, "The report cannot be read; see the log.")
        report: dict[str, Any] = json.loads(rows[0][0]) if rows else _NOTHING
        return report

    async def _keep(self, document: str) -> None:
        keep = "REPLACE INTO reports VALUES ('spool', ?)"
        if await self._ledger.use(lambda work: work.rows(keep, document)) is None:
            raise Problem(Verdict.TEMPORARY, "The report cannot be written; see the log.")
