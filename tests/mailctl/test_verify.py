"""`mailctl verify`: what it makes of what tests/host found. That they find it is tested on a host."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Cli

ROOM = "tests/host/test_disks.py::test_each_disk_has_room"
PASSED = {"name": ROOM, "why": "A full disk stops mail.", "outcome": "passed", "seconds": 0.5, "message": ""}
FAILED = {
    "name": "tests/host/test_endpoints.py::test_old_tls_is_refused",
    "why": "RFC 8996.",
    "outcome": "failed",
    "seconds": 1,
    "message": "assert {'<smtp>': True} == {}",
}
FIGURES = [
    {"group": "Disks", "name": "hdd", "value": 97, "limit": 90, "unit": "% used"},
    {"group": "Disks", "name": "ssd", "value": 10, "limit": 90, "unit": "% used"},
    {"group": "Answers", "name": "imap", "value": 12, "limit": None, "unit": "ms"},
]


class Page(HTMLParser):
    """What a page is made of: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def found(repo: Path, *tests: dict[str, object], code: int = 0) -> None:
    """Put a pytest in place that writes these results and keeps its words."""
    results = {"began": 0.0, "seconds": 3.2, "tests": tests, "figures": FIGURES}
    (repo / "results.json").write_text(json.dumps(results))
    python = repo / ".venv-verify/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/sh\necho "$@" >{repo}/words\nfor word; do case $word in --results=*)\n'
        f"cp {repo}/results.json ${{word#--results=}};; esac; done\nexit {code}\n"
    )
    python.chmod(0o755)


def page(repo: Path) -> Page:
    return Page((repo / "reports/verify.html").read_text())


def test_a_sound_host_is_told_in_one_line_and_a_page(cli: Cli, repo: Path) -> None:
    found(repo, PASSED)
    result = cli("verify")
    assert result.exit_code == 0 and "1 passed, 0 failed" in result.stdout
    assert "All is well" in page(repo).text


def test_a_failed_test_is_told_with_what_was_found_and_why_it_matters(cli: Cli, repo: Path) -> None:
    found(repo, PASSED, FAILED, code=1)
    result = cli("verify")
    assert result.exit_code == 1
    assert "old tls is refused" in result.stdout and "RFC 8996" in result.stdout
    # What a host says is text, not markup.
    assert "'<smtp>'" in page(repo).text and not [tag for tag, _ in page(repo).tags if tag == "smtp"]


def test_the_page_draws_a_figure_for_each_group_and_says_it_in_words(cli: Cli, repo: Path) -> None:
    found(repo, PASSED)
    cli("verify")
    drawn = page(repo)
    heard = [attributes["aria-label"] for tag, attributes in drawn.tags if tag == "svg"]
    assert heard == ["disks 1/1", "hdd 97/90; ssd 10/90", "imap 12"]
    kinds = [attributes["class"] for tag, attributes in drawn.tags if tag == "rect"]
    assert kinds[3:] == ["track", "failed", "track", "passed", "track", "bar"]


def test_the_page_needs_nothing_from_elsewhere_and_fits_a_phone(cli: Cli, repo: Path) -> None:
    found(repo, PASSED)
    cli("verify")
    tags = page(repo).tags
    assert not [one for one in tags if one[0] in ("script", "link", "img") or {"src", "href"} & one[1].keys()]
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tags


def test_options_reach_the_tests_and_programs_get_it_all(cli: Cli, repo: Path) -> None:
    found(repo, PASSED)
    words = ("--host", "ssh://root@mail", "--path", "/srv/mail", "--sudo", "--only", "firewall")
    document = json.loads(cli("verify", "--json", *words).stdout)
    assert document["passed"] == 1 and document["tests"] == [PASSED] and document["figures"] == FIGURES
    said = (repo / "words").read_text()
    for word in ("--hosts=ssh://root@mail", "--path=/srv/mail", "--sudo", "-k firewall", "--junitxml="):
        assert word in said


@pytest.mark.parametrize("code", [2, 3, 5])
def test_tests_that_did_not_run_are_no_good_result(cli: Cli, repo: Path, code: int) -> None:
    found(repo, PASSED, code=code)
    result = cli("verify")
    assert result.exit_code == 1 and f"exit code {code}" in result.stderr


def test_a_run_without_a_test_is_no_good_result(cli: Cli, repo: Path) -> None:
    found(repo)
    assert cli("verify").exit_code == 1


def test_a_host_of_no_known_kind_is_a_misuse(cli: Cli, repo: Path) -> None:
    found(repo, PASSED)
    result = cli("verify", "--host", "mail.lan")
    assert result.exit_code == 2 and "ssh://" in result.stderr


def test_without_its_libraries_it_says_what_brings_them(cli: Cli, repo: Path) -> None:
    result = cli("verify")
    assert result.exit_code == 1 and "make verify" in result.stderr
