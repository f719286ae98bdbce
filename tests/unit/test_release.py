"""Which versions there are: CHANGELOG.md says it, and the clone's history has their commits."""

from __future__ import annotations

import subprocess

import pytest

from tools import release

CHANGELOG = """\
# Changelog

## [1.1.0] - unreleased

- Being written.

## [1.0.0] - 2026-02-01

### Added

- The second.

## [0.9.0] - 2026-01-01

- The first.

[1.0.0]: https://example.com
"""


def git(folder, *words):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone with one release."""
    monkeypatch.setattr(release, "COMMITS", {})
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "tag", "v0.9.0")
    return tmp_path


def test_a_release_is_told_with_its_section():
    assert release.notes("v1.0.0", CHANGELOG) == "### Added\n\n- The second."
    assert release.notes("v0.9.0", CHANGELOG) == "- The first."


@pytest.mark.parametrize(
    ("tag", "why"), [("latest", "is no version"), ("v2.0.0", "nothing below"), ("v1.1.0", "nothing below")]
)
def test_what_is_no_dated_version_has_no_notes(tag, why):
    with pytest.raises(release.NotReleased, match=why):
        release.notes(tag, CHANGELOG)


def test_the_newest_dated_version_without_a_tag_is_due(clone):
    assert release.due(clone) == "v1.0.0"


def test_nothing_is_due_once_it_is_tagged(clone):
    git(clone, "tag", "v1.0.0")
    assert release.due(clone) == ""


def test_a_version_from_before_there_were_tags_is_never_due(clone, monkeypatch):
    monkeypatch.setattr(release, "COMMITS", {"1.0.0": "HEAD"})
    assert release.due(clone) == ""


def test_the_released_versions_are_known_by_tag_or_by_commit_the_oldest_first(clone, monkeypatch):
    assert release.versions(clone) == {"0.9.0": "v0.9.0"}
    monkeypatch.setattr(release, "COMMITS", {"1.0.0": "HEAD"})
    assert list(release.versions(clone).items()) == [("0.9.0", "v0.9.0"), ("1.0.0", "HEAD")]


def test_a_clone_that_is_too_shallow_says_what_it_lacks(clone, monkeypatch):
    monkeypatch.setattr(release, "COMMITS", {"1.0.0": "a" * 40})
    with pytest.raises(release.NotReleased, match=r"version 1\.0\.0: git fetch --unshallow"):
        release.versions(clone)


def test_every_version_of_this_changelog_before_there_were_tags_is_in_it():
    text = release.changelog()
    assert all(release.notes(f"v{version}", text) for version in release.COMMITS)
