"""Sizes as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usermgmt.problems import Refused
from usermgmt.quota import LARGEST, SMALLEST, UNITS, format_quota, parse_quota


@pytest.mark.parametrize(
    ("entered", "size"),
    [
        ("1G", 1024**3),
        ("500M", 500 * 1024**2),
        ("1.5 GB", 3 * 1024**3 // 2),
        ("1,5g", 3 * 1024**3 // 2),
        ("2GiB", 2 * 1024**3),
        (" 10m ", 10 * 1024**2),
        ("10T", 10 * 1024**4),
        ("10485760", 10 * 1024**2),
        ("20480K", 20 * 1024**2),
    ],
)
def test_a_size_with_a_unit_is_understood(entered: str, size: int) -> None:
    assert parse_quota(entered) == size


@pytest.mark.parametrize("entered", ["", "G", "1X", "-1G", "1.G", "1e9", "1G2", "1 0G", "٣G", "1G;", "0x10M"])
def test_what_is_not_a_size_is_refused_with_examples(entered: str) -> None:
    with pytest.raises(Refused, match=r"not a size.*500M, 2G or 1.5T"):
        parse_quota(entered)


@pytest.mark.parametrize("entered", ["10,000M", "10.000M", "1,000,000K", "1.500 GB", "10,485,760"])
def test_a_size_that_can_be_read_in_two_ways_is_refused(entered: str) -> None:
    with pytest.raises(Refused, match=r"two ways.*10000M"):
        parse_quota(entered)


@pytest.mark.parametrize("entered", ["0", "1", "9.9M", "10239K"])
def test_too_small_is_refused_with_the_bounds(entered: str) -> None:
    with pytest.raises(Refused, match=r"smaller than one mail.*10M to 10T"):
        parse_quota(entered)


@pytest.mark.parametrize("entered", ["10.1T", "11T", "999999999999999T"])
def test_too_large_is_refused_with_the_bounds(entered: str) -> None:
    with pytest.raises(Refused, match=r"more than can be counted on.*10M to 10T"):
        parse_quota(entered)


@given(st.integers(SMALLEST, LARGEST))
def test_what_is_shown_can_be_typed_back(size: int) -> None:
    assert parse_quota(format_quota(size)) == size


@given(st.integers(1, 9999), st.sampled_from("MGT"))
def test_round_sizes_are_shown_short(number: int, unit: str) -> None:
    assert len(format_quota(number * UNITS[unit])) <= len(f"{number}{unit}") + 1


@given(st.text(max_size=30))
def test_any_text_is_a_size_within_bounds_or_refused(text: str) -> None:
    try:
        assert SMALLEST <= parse_quota(text) <= LARGEST
    except Refused as refusal:
        assert refusal.problems[0].field == "quota"
