"""A mailbox in use: mail is delivered, flagged, moved and expunged as Dovecot does it, by renames."""

import os
import random
import threading
import time
from pathlib import Path

FOLDERS = ("", ".Sent", ".Archive", ".Lists.Debian")
FLAGS = "DFRST"


class MovingMail(threading.Thread):
    """Changes the mailbox at `home` until stopped; each mail's content is its number.

    `resident` are the numbers of those that were there from the beginning and are never expunged.
    """

    def __init__(self, home: Path, resident: int, seed: int, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.home, self.resident, self.pause = home, range(resident), pause
        self.random, self.serial = random.Random(seed), 0  # noqa: S311
        self.steps = 0
        self._ended = threading.Event()
        for folder in FOLDERS:
            for part in ("cur", "new", "tmp"):
                (home / "mail" / folder / part).mkdir(parents=True, exist_ok=True)
        (home / "mail/dovecot-uidlist").write_text("3 V1 N1\n")
        self.places = {number: self._deliver(number) for number in self.resident}
        self.guests: dict[int, Path] = {}

    def run(self) -> None:
        moves = (self._flag, self._flag, self._move, self._move_by_link, self._come, self._go, self._uidlist)
        while not self._ended.is_set():
            self.random.choice(moves)()
            self.steps += 1
            if self.pause:
                self._ended.wait(self.pause)

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _new_name(self) -> str:
        self.serial += 1
        return f"{1_700_000_000 + self.serial}.M{self.random.randrange(10**6)}P1.host"

    def _folder(self) -> Path:
        return self.home / "mail" / self.random.choice(FOLDERS)

    def _deliver(self, number: int) -> Path:
        folder, name = self._folder(), self._new_name()
        (folder / "tmp" / name).write_text(f"Subject: {number}\n\n" + "x" * (number % 700))
        place = folder / self.random.choice(("cur", "new")) / name
        (folder / "tmp" / name).rename(place)
        return place

    def _any(self) -> tuple[dict[int, Path], int]:
        chosen = self.guests if self.guests and self.random.random() < 0.3 else self.places
        return chosen, self.random.choice(list(chosen))

    def _flag(self) -> None:
        known, number = self._any()
        flags = "".join(sorted(self.random.sample(FLAGS, self.random.randint(0, 3))))
        base = known[number].name.partition(":")[0]
        known[number] = known[number].rename(known[number].parent.parent / "cur" / f"{base}:2,{flags}")

    def _move(self) -> None:
        known, number = self._any()
        known[number] = known[number].rename(self._folder() / "cur" / f"{self._new_name()}:2,S")

    def _move_by_link(self) -> None:
        """A second name, then the first one goes, as IMAP's MOVE may do it."""
        known, number = self._any()
        place = self._folder() / "cur" / f"{self._new_name()}:2,"
        os.link(known[number], place)
        self._ended.wait(self.pause)
        known[number].unlink()
        known[number] = place

    def _come(self) -> None:
        number = len(self.resident) + self.serial
        self.guests[number] = self._deliver(number)

    def _go(self) -> None:
        if self.guests:
            self.guests.pop(self.random.choice(list(self.guests))).unlink()

    def _uidlist(self) -> None:
        beside = self.home / "mail/dovecot-uidlist.tmp"
        beside.write_text(f"3 V1 N{self.serial}\n")
        beside.rename(self.home / "mail/dovecot-uidlist")


def numbers(mail: Path) -> list[int]:
    """Which mails lie below a folder, each as often as it does."""
    found = [p for p in mail.rglob("*") if p.is_file() and p.parent.name in ("cur", "new")]
    return sorted(int(path.read_text().split("\n", 1)[0].removeprefix("Subject: ")) for path in found)


def wait_for_steps(mover: MovingMail, steps: int, limit: float = 120) -> None:
    """Until the mailbox is really in motion."""
    end = time.monotonic() + limit
    while mover.steps < steps and time.monotonic() < end:
        threading.Event().wait(0.001)
    assert mover.steps >= steps
