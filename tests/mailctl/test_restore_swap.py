"""The exchange of two folders: whichever step was the last before a crash, the next call ends it."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from mailctl.backup.restore import journal as swap
from mailctl.backup.restore.journal import Swap


class Crash(BaseException):
    """The process dies here."""


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[int], Swap]:
    """Makes a live folder and one that was prepared, with a file that says which is which."""

    def make(number: int) -> Swap:
        live, staged = tmp_path / f"{number}", tmp_path / f"{number}.restore-1"
        for folder, text in ((live, "old"), (staged, "new")):
            folder.mkdir()
            (folder / "which").write_text(text)
        return Swap.of(live, staged, live.with_name(f"{number}.before-restore-1"))

    return make


def dying(monkeypatch: pytest.MonkeyPatch, steps: int, exchange: bool) -> None:
    """Let the process die after so many renames, with or without the kernel's exchange."""
    real_rename, real_exchange, left = os.rename, swap._exchanged, [steps]

    def count(work: Callable[[], object]) -> object:
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return work()

    monkeypatch.setattr(swap.os, "rename", lambda a, b: count(lambda: real_rename(a, b)))
    found = (lambda a, b: count(lambda: real_exchange(a, b))) if exchange else (lambda a, b: False)
    monkeypatch.setattr(swap, "_exchanged", found)


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("steps", range(3))
def test_a_crash_after_any_step_is_repeated_to_its_end(
    folders: Callable[[int], Swap], monkeypatch: pytest.MonkeyPatch, steps: int, exchange: bool
) -> None:
    one = folders(1)
    for move, live, kept, other in (
        ("forward", "new", one.former, "old"),
        ("backward", "old", one.undone, "new"),
    ):
        with monkeypatch.context() as patch:
            dying(patch, steps, exchange)
            try:
                getattr(one, move)()
            except Crash:
                assert not exchange or (one.live / "which").read_text() in ("old", "new")
        getattr(Swap.from_dict(json.loads(json.dumps(asdict(one), default=str))), move)()
        assert (one.live / "which").read_text() == live
        assert (kept / "which").read_text() == other and not one.staged.exists()


def test_what_was_not_there_before_is_gone_after_undo(tmp_path: Path) -> None:
    (tmp_path / "a.restore-1").mkdir()
    one = Swap.of(tmp_path / "a", tmp_path / "a.restore-1", tmp_path / "a.before-restore-1")
    one.forward()
    assert one.live.is_dir() and not one.former.exists()
    one.backward()
    assert not one.live.exists() and one.undone.is_dir()
