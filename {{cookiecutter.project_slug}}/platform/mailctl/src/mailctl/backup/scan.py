"""Looks for viruses in a snapshot's mail, by the scanner of the stack: before a restore brings it back."""

import json
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from mailctl.core.containers import running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshot_manifest import MAIL_INDEX, read_index
from mailctl.core.snapshots import Progress, Snapshot, latest, read

# clamd listens in its container only for the filter's network: bash there is a pipe to it.
PIPE = ("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3310; cat <&3 & cat >&3; wait")
CHUNK = 1 << 18
# Files and bytes sent before their answers are read: clamd answers while it goes on reading, and keeps each
# in its /tmp (256 MiB, of which mail that arrives needs a part).
AHEAD, BYTES_AHEAD = 16, 64 << 20
# Below clamd's StreamMaxLength, beyond which it hangs up: of a larger file the beginning is scanned.
LARGEST = 29 << 20
LIST = "findings.json"
# What clamd alerts of and is no virus (clamd.conf): it was taken in before, or put there by its owner.
NO_VIRUS = ("Heuristics.OLE2.ContainsMacros", "Heuristics.Limits.Exceeded")
UNFINISHED = "Heuristics.Limits.Exceeded.MaxScanTime"


@dataclass(frozen=True)
class Finding:
    """A file of the snapshot, by its path in it, and what was found."""

    path: str
    signature: str


@dataclass(frozen=True)
class ScanResult:
    """What a scan found; `quarantine` is the folder that copies of the findings went to."""

    snapshot: str
    scanned: int
    findings: tuple[Finding, ...]
    quarantine: Path | None = None

    @property
    def ok(self) -> bool:
        """Nothing was found, or it was set aside."""
        return not self.findings or self.quarantine is not None

    def as_dict(self) -> dict[str, Any]:
        place = str(self.quarantine) if self.quarantine else None
        return {"ok": self.ok, **asdict(self), "quarantine": place}


def newest_or(hdd: Path, source: str) -> Snapshot:
    """The snapshot that was named, else the latest good one. Raises Refused when there is none."""
    if source:
        return read(Path(source))
    found = latest(hdd)
    if found is None:
        raise Refused(Problem("snapshot", "there is no good one yet", "make backup", value=str(hdd)))
    return found


def scan(
    context: Context,
    snapshot: Snapshot,
    quarantine: Path | None = None,
    progress: Progress | None = None,
    below: str = "",
) -> ScanResult:
    """Scan every file of the mail, or those whose path begins with `below`.

    Raises Refused: no scanner runs, or it gave no verdict about a file.
    The snapshot itself is never changed: what is found is copied into `quarantine`, with a list, and whoever
    restores leaves these paths out.
    """
    index = read_index(snapshot.path / MAIL_INDEX)
    paths = [path for path, _ in index if path.startswith(below)]
    container = running(context, "clamav")
    with subprocess.Popen(
        ["docker", "exec", "-i", container, *PIPE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            findings = tuple(_findings(process, snapshot.path, paths, progress))
        except BrokenPipeError:
            raise Refused(_no_verdict("clamd ended the connection")) from None
        finally:
            process.kill()
    if findings and quarantine:
        _set_aside(snapshot, findings, quarantine / snapshot.path.name)
    return ScanResult(snapshot.id, len(paths), findings, quarantine)


def _findings(
    process: "subprocess.Popen[bytes]", root: Path, paths: Iterable[str], progress: Progress | None
) -> Iterator[Finding]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the scanner was started without pipes")
    process.stdin.write(b"zIDSESSION\0")
    waiting: dict[int, tuple[str, int]] = {}
    for number, path in enumerate(paths, start=1):
        size = min((root / path).stat().st_size, LARGEST)
        while waiting and (len(waiting) >= AHEAD or _sizes(waiting) + size > BYTES_AHEAD):
            yield from _answer(process.stdout, waiting, progress)
        waiting[number] = path, size
        _send(process.stdin, root / path)
    while waiting:
        yield from _answer(process.stdout, waiting, progress)
    process.stdin.write(b"zEND\0")
    process.stdin.close()


def _sizes(waiting: dict[int, tuple[str, int]]) -> int:
    return sum(size for _, size in waiting.values())


def _send(clamd: IO[bytes], path: Path) -> None:
    clamd.write(b"zINSTREAM\0")
    left = LARGEST
    with path.open("rb") as file:
        while chunk := file.read(min(CHUNK, left)):
            left -= len(chunk)
            clamd.write(struct.pack("!I", len(chunk)) + chunk)
    clamd.write(struct.pack("!I", 0))
    clamd.flush()


def _answer(
    clamd: IO[bytes], waiting: dict[int, tuple[str, int]], progress: Progress | None
) -> Iterator[Finding]:
    """One answer: `7: stream: OK`, `7: stream: Eicar-Test FOUND`, or an error, which is no verdict."""
    text = _until_zero(clamd)
    number, _, verdict = text.partition(": ")
    if not number.isdigit() or int(number) not in waiting:
        raise Refused(_no_verdict(text or "clamd ended the connection"))
    path, _ = waiting.pop(int(number))
    if progress:
        progress(1, 0)
    verdict = verdict.removeprefix("stream: ")
    if verdict.startswith(NO_VIRUS) and not verdict.startswith(UNFINISHED):
        return
    if verdict.endswith(" FOUND") and not verdict.startswith(UNFINISHED):
        yield Finding(path, verdict.removesuffix(" FOUND"))
    elif verdict != "OK":
        raise Refused(_no_verdict(f"{path}: {verdict}"))


def _until_zero(clamd: IO[bytes]) -> str:
    answer = b""
    while (byte := clamd.read(1)) not in (b"\0", b""):
        answer += byte
    return answer.decode("utf-8", "replace")


def _set_aside(snapshot: Snapshot, findings: tuple[Finding, ...], folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, finding in enumerate(findings, start=1):
        shutil.copyfile(snapshot.path / finding.path, folder / f"{number:04}.mail", follow_symlinks=False)
        (folder / f"{number:04}.mail").chmod(0o400)
    listed = [{"file": f"{n:04}.mail", **asdict(f)} for n, f in enumerate(findings, start=1)]
    document = {"snapshot": snapshot.id, "findings": listed}
    (folder / LIST).write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def _no_verdict(wrong: str) -> Problem:
    return Problem("virus scan", f"no verdict: {wrong}", "make status, service clamav; then scan again")
