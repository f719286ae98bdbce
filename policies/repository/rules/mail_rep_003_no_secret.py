"""MAIL_REP_003: no secret in any file or in git's history."""

from collections.abc import Iterator
from fnmatch import fnmatch
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from policies.model import Found, Place
from policies.repository import leaks
from policies.repository.tracked import SHORT, added_lines, commits, tracked
from policies.shared import cache
from policies.shared.interpolation import EXAMPLES
from policies.shared.repository import Repository

#: Files of which MAIL_CMP_017, MAIL_DKR_006 and MAIL_REP_005 judge the settings.
OTHERS = ("*ockerfile*", "*ontainerfile*", "*compose*.yml", "*compose*.yaml", *EXAMPLES)
SHOULD = "a new secret, and a history without the old one"


class Hit(NamedTuple):
    """A line of the history that shows a secret; of the line itself only a digest is kept."""

    commit: str
    place: Place
    digest: str
    wrong: str


#: What is remembered of a repository's files: where each kind of secret is in a text, by the text's digest.
Known = dict[str, tuple[tuple[int, str], ...]]


@lru_cache(maxsize=4096)
def _elsewhere(file: str) -> bool:
    return any(fnmatch(file.rpartition("/")[2], pattern) for pattern in OTHERS)


def check(subject: Repository) -> Iterator[Found]:
    """Look at the files as they are, then at every line that was ever added."""
    yield from _files(subject)
    now: dict[str, set[str]] = {}
    for hit in _history(subject):
        file = hit.place.file
        if file not in now:
            text = subject.text(file) if file in subject.files else ""
            now[file] = {_digest(line) for line in text.splitlines()}
        if hit.digest not in now[file]:
            yield Found(hit.place, f"{hit.wrong}, in the history (commit {hit.commit})", SHOULD, file)


def _digest(line: str) -> str:
    return sha256(line.encode("utf-8", "surrogateescape")).hexdigest()


def _files(subject: Repository) -> Iterator[Found]:
    for file, found in _looked_at(subject):
        for number, wrong in found:
            by_chance = wrong == leaks.BY_CHANCE
            hint = "; before a digest the name of its kind, such as sha256:" if by_chance else ""
            yield Found(Place(file, number), wrong, f"a file in secrets/, which git ignores{hint}", file)


def _looked_at(subject: Repository) -> Iterator[tuple[str, tuple[tuple[int, str], ...]]]:
    """Yield what each file shows; on disk, files with the content of an earlier run are not read again."""
    entry = cache.entry("secrets", [str(subject.root)])
    known: Known = {} if subject.changes else cache.load(entry) or {}
    seen: Known = {}
    for file in tracked(subject):
        text, elsewhere = subject.text(file), _elsewhere(file)
        key = "" if subject.changes else _digest(f"{leaks.kind(file)} {elsewhere} {text}")
        found = known[key] if key in known else leaks.in_text(file, text, elsewhere)
        seen[key] = found
        yield file, found
    if not subject.changes and seen != known:
        cache.save(entry, seen)


def _history(subject: Repository) -> Iterator[Hit]:
    """Yield what commits added: those that an earlier run looked at are remembered."""
    entry = cache.entry("history", [str(subject.root)])
    looked_at, hits = cache.load(entry) or ((), [])
    reachable = {each[:SHORT] for each in commits(subject, "rev-list", "--all")}
    for commit, place, line in added_lines(subject, looked_at):
        if wrong := leaks.complaint(place.file, line, _elsewhere(place.file)):
            hits.append(Hit(commit, place, _digest(line), wrong))
    yield from (each for each in hits if each.commit in reachable)
    if reachable and not subject.problems:
        cache.save(entry, (commits(subject, "rev-parse", "--all"), hits))
