"""A disk that is not mounted: nothing is made in its place on the system's own disk."""

from pathlib import Path

import pytest
from conftest import ENV, Cli

from mailctl.core import disks

ROOT = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


class Tables:
    """fstab and mountinfo as the tests want them; `large` is the folder that HDD_PATH names."""

    def __init__(self, folder: Path) -> None:
        self.fstab, self.mounts, self.large = (
            folder / "fstab",
            folder / "mountinfo",
            folder / "large disk" / "mail",
        )
        self.fstab.write_text("# <device> <mount point>\n")
        self.mounts.write_text(ROOT)

    @staticmethod
    def escaped(path: Path) -> str:
        return str(path).replace(" ", r"\040")

    def list(self, path: Path) -> None:
        self.fstab.write_text(f"/dev/sdb1\t{self.escaped(path)}  ext4 defaults 0 2\n/dev/sdc none swap sw\n")

    def mount(self, path: Path) -> None:
        self.mounts.write_text(f"{ROOT}22 21 8:17 / {self.escaped(path)} rw - ext4 /dev/sdb1 rw\n")


@pytest.fixture
def tables(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    made = Tables(tmp_path)
    monkeypatch.setattr(disks, "FSTAB", made.fstab)
    monkeypatch.setattr(disks, "MOUNTS", made.mounts)
    monkeypatch.setattr(disks, "MOUNT_FOLDERS", ())
    (repo / ".env").write_text(f"{ENV}SSD_PATH={tmp_path}/fast\nHDD_PATH='{made.large}'\n")
    return made


def test_a_disk_that_fstab_lists_and_nobody_mounted_is_refused_before_anything_is_made(
    cli: Cli, tables: Tables, tmp_path: Path, repo: Path
) -> None:
    tables.list(tables.large.parent)
    result = cli("setup")
    assert result.exit_code == 1
    assert "HDD_PATH" in result.stderr and "sudo mount" in result.stderr
    assert not tables.large.exists() and not (tmp_path / "fast").exists() and not (repo / "secrets").exists()


def test_the_same_disk_mounted_is_used(cli: Cli, tables: Tables) -> None:
    tables.list(tables.large.parent)
    tables.mount(tables.large.parent)
    assert cli("setup").exit_code == 0
    assert (tables.large / "mailboxes").is_dir()


def test_below_mnt_a_mount_is_meant_even_when_fstab_lists_none(
    cli: Cli, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "MOUNT_FOLDERS", (tables.large.parent,))
    refused = cli("setup")
    assert refused.exit_code == 1
    assert "nothing is mounted" in " ".join(refused.stderr.split()) and "HDD_PATH=/srv" in refused.stderr
    tables.mount(tables.large)
    assert cli("setup").exit_code == 0


def test_a_folder_on_the_only_disk_is_fine(cli: Cli, tables: Tables) -> None:
    assert cli("setup").exit_code == 0


def test_a_link_is_judged_by_where_it_leads(cli: Cli, tables: Tables, tmp_path: Path) -> None:
    tables.list(tmp_path / "real")
    (tmp_path / "real").mkdir()
    tables.large.parent.symlink_to(tmp_path / "real")
    assert cli("setup").exit_code == 1
