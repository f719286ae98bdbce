"""Is the disk there, and is there room? A folder on a disk that is not mounted is made on the wrong disk."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import size

FSTAB = Path("/etc/fstab")
MOUNTS = Path("/proc/self/mountinfo")
# The file system standard keeps these for disks that are mounted: a path below says that one is meant.
MOUNT_FOLDERS = (Path("/mnt"), Path("/media"))
# mountinfo(5) and fstab(5) write these characters as octal numbers.
ESCAPES = {r"\040": " ", r"\011": "\t", r"\012": "\n", r"\134": "\\"}

# What stays free on every disk; RESERVE_GIB of .env on those that take mail. A file takes whole blocks.
SPARE, GIB, BLOCK = 64 << 20, 1 << 30, 4096


def on_disk(bytes: int) -> int:
    """What a file of that size takes, with its name."""
    return -(-bytes // BLOCK) * BLOCK + BLOCK // 4


def reserve(context: Context, path: Path) -> int:
    """The bytes that must stay free where `path` is: mail that arrives needs them. Raises Refused."""
    device = path.stat().st_dev
    folders = [context.folder(name, "") for name in ("HDD_PATH", "SSD_PATH") if context.setting(name)]
    if device not in {folder.stat().st_dev for folder in folders if folder.is_dir()}:
        return SPARE
    text = context.setting("RESERVE_GIB", "2")
    try:
        return max(SPARE, int(float(text) * GIB))
    except (ValueError, OverflowError):
        raise Refused(Problem("RESERVE_GIB", "is not a number of GiB", "such as 2", value=text)) from None


def left(context: Context, path: Path) -> int:
    """The bytes that may be written where `path` is; below zero: the reserve is touched. Raises Refused."""
    return shutil.disk_usage(path).free - reserve(context, path)


def need(
    context: Context,
    what: str,
    wanted: Mapping[Path, int],
    instead: str = "fetch to another disk (--to DIR), ",
) -> None:
    """Say what will be written where, in bytes by folder. Raises Refused where it would eat the reserve.

    `instead`: what else than making room helps.
    """
    by_disk: dict[int, tuple[Path, int]] = {}
    for path, bytes in wanted.items():
        there = next(each for each in (path, *path.parents) if each.exists())
        first, before = by_disk.get(there.stat().st_dev, (there, 0))
        by_disk[there.stat().st_dev] = (first, before + bytes)
    for path, bytes in by_disk.values():
        free, kept = shutil.disk_usage(path).free, reserve(context, path)
        room = f"{what} needs {size(bytes)} in {path}; {size(free)} are free, of which {size(kept)} stay free"
        if bytes > max(0, free - kept):
            fix = f"make room there, {instead}or set RESERVE_GIB in .env"
            raise Refused(Problem("disk", room, fix, value=str(path)))
        if bytes:
            context.out.note(room)


def folder_of(context: Context, setting: str) -> Path:
    """The absolute path of HDD_PATH or SSD_PATH. Raises Refused when it is not set."""
    if not context.setting(setting):
        fix = f"write {setting}=/absolute/path into .env; .env.example shows one"
        raise Refused(Problem(field=setting, wrong="is not set", fix=fix))
    return context.folder(setting, "")


def unmounted(setting: str, path: Path) -> Problem | None:
    """What is wrong when `path` is meant for a disk of its own and would lie on the root file system."""
    path = path.resolve()
    mounted = set(_mount_points(MOUNTS, column=4))
    place = _above(path, _mount_points(FSTAB, column=1))
    if place and place not in mounted:
        wrong = f"{FSTAB} lists a disk for {place}, and it is not mounted"
        fix = f"mount it: sudo mount {place}"
    elif not _above(path, mounted) and any(path.is_relative_to(folder) for folder in MOUNT_FOLDERS):
        wrong = "nothing is mounted at or above it: mail and backups would fill the system's own disk"
        fix = f"mount the disk and list it in {FSTAB}; is there no other disk? set {setting}=/srv/…"
    else:
        return None
    return Problem(field=setting, value=str(path), wrong=wrong, fix=fix, next="findmnt --target " + str(path))


def _above(path: Path, places: Iterable[Path]) -> Path | None:
    """The innermost of `places` that holds `path`; the root file system does not count."""
    found = [place for place in places if place != Path("/") and path.is_relative_to(place)]
    return max(found, key=lambda place: len(place.parts), default=None)


def _mount_points(table: Path, column: int) -> list[Path]:
    """The mount points of a table; lines that name none (comments, swap) are left out."""
    try:
        lines = [line.split() for line in table.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return []
    words = [line[column] for line in lines if len(line) > column and not line[0].startswith("#")]
    for code, character in ESCAPES.items():
        words = [word.replace(code, character) for word in words]
    return [Path(word) for word in words if word.startswith("/")]
