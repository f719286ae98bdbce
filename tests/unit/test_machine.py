"""The time zone that `make new` offers is the one of this machine."""

from __future__ import annotations

import pytest

from tools import machine


def silent():
    return ""


@pytest.mark.parametrize("written", ["Asia/Tokyo", ":Asia/Tokyo", "/usr/share/zoneinfo/Asia/Tokyo"])
def test_the_environment_comes_first(written, tmp_path):
    (tmp_path / "timezone").write_text("Europe/Berlin\n", encoding="utf-8")
    assert machine.timezone({"TZ": written}, tmp_path, silent) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("link", "zone"),
    [
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("/usr/share/zoneinfo/posix/America/Argentina/Salta", "America/Argentina/Salta"),
        ("/var/db/timezone/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Etc/UTC", "UTC"),
    ],
)
def test_the_link_of_localtime_names_it(link, zone, tmp_path, monkeypatch):
    monkeypatch.setattr(machine.os.path, "realpath", lambda path: link)
    assert machine.timezone({}, tmp_path, silent) == zone


def test_a_copied_localtime_leaves_it_to_debians_file(tmp_path):
    (tmp_path / "localtime").write_bytes(b"TZif2")
    (tmp_path / "timezone").write_text("Europe/Berlin\n", encoding="utf-8")
    assert machine.timezone({}, tmp_path, silent) == "Europe/Berlin"


def test_systemd_is_asked_last(tmp_path):
    assert machine.timezone({}, tmp_path, lambda: "Asia/Seoul") == "Asia/Seoul"


@pytest.mark.parametrize("nonsense", ["", "JST-9", "localtime", "../Mars"])
def test_what_is_no_zone_is_passed_over(nonsense, tmp_path):
    assert machine.timezone({"TZ": nonsense}, tmp_path, silent) == "UTC"
