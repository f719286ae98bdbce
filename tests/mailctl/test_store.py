"""The secret folder: whole files or none, one writer at a time."""

import errno
import os
from pathlib import Path

import pytest

from mailctl.core.errors import Refused
from mailctl.secret_files.store import TEMPORARY, opened


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "s", create=True) as store:
        store.write("a", b"old", 0o444)

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(Refused, match="No space left"):
            store.write("a", b"new", 0o444)
        assert store.read("a") == b"old"
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["a"]


def test_what_a_killed_run_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path / "s", create=True) as store:
        store.write("a", b"kept", 0o444)
        store.write(f"{TEMPORARY}0123", b"half", 0o600)
        store.clear_leftovers()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["a"]


def test_a_file_has_its_mode_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with opened(tmp_path / "s", create=True) as store:
            store.write("a", b"x", 0o444)
    finally:
        os.umask(before)
    assert (tmp_path / "s/a").stat().st_mode & 0o777 == 0o444


def test_a_second_writer_waits_for_the_lock_and_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with opened(path, create=True) as first, opened(path, create=False) as second:
        with first.locked(), pytest.raises(Refused, match="another mailctl"), second.locked(limit=0.1):
            pass
        with second.locked(limit=0.1):
            assert (path / ".lock").exists()


def test_a_folder_that_was_swapped_for_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with opened(tmp_path / "s", create=True) as store:
        (tmp_path / "s").rename(tmp_path / "moved")
        (tmp_path / "s").symlink_to(tmp_path / "elsewhere")
        store.write("a", b"x", 0o444)
    assert (tmp_path / "moved/a").exists() and not (tmp_path / "elsewhere/a").exists()


def test_a_missing_folder_is_answered_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused, opened(tmp_path / "s", create=False):
        pass
    assert refused.value.problems[0].fix == "make setup"


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(Refused, match="is not a folder"), opened(tmp_path / "s", create=True):
        pass
