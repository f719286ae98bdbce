"""How figures are written in a line, and in which order services stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.core.compose import start_order
from mailctl.core.format import duration, image, size


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefgh")), min_size=1))
def test_a_service_never_stands_before_what_it_needs(graph: dict[str, set[str]]) -> None:
    """Only edges to earlier letters are used, as compose refuses circles."""
    needs = {name: {other for other in others if other < name} for name, others in graph.items()}
    services = {name: {"depends_on": {other: {} for other in others}} for name, others in needs.items()}
    order = start_order({"services": services})
    assert sorted(order) == sorted(graph)
    for name, others in needs.items():
        assert all(order.index(other) < order.index(name) for other in others if other in graph)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1024, "1K"),
        (1536, "1.5K"),
        (512 * 1024**2, "512M"),
        (1024**3, "1G"),
        (None, "-"),
    ],
)
def test_sizes_are_short(number: int | None, text: str) -> None:
    assert size(number) == text


@given(st.integers(0, 2**60))
def test_a_size_never_takes_more_than_seven_characters(number: int) -> None:
    assert len(size(number)) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5s"), (60, "1m 0s"), (200, "3m 20s"), (18120, "5h 2m"), (1051200, "12d 4h"), (None, "-")],
)
def test_durations_name_two_units(seconds: int | None, text: str) -> None:
    assert duration(seconds) == text


def test_an_image_is_shown_without_its_digest() -> None:
    assert image("mariadb:11.8.9@sha256:abc") == "mariadb:11.8.9"
