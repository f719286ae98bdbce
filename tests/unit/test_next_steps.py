"""What a person is told to do after `make new` is the page that the repository brings, nothing beside it."""

import re
from pathlib import Path

import pytest

from tools import answers, new, next_steps

TEMPLATE = answers.ROOT / "{{cookiecutter.project_slug}}"
TARGETS = new.make_targets(TEMPLATE)
# Headings have no answers in them, so the page needs no rendering here.
PAGES = {language: TEMPLATE / "_docs" / language / next_steps.PAGE for language in ("en", "ja")}


@pytest.fixture(params=PAGES)
def project(request, tmp_path):
    """A repository, in a folder with a space, of which only the page is there."""
    page = tmp_path / "my repositories" / "acme-mail" / next_steps.PAGE
    page.parent.mkdir(parents=True)
    page.write_text(PAGES[request.param].read_text(encoding="utf-8"), encoding="utf-8")
    return page.parents[1]


def told(project: Path, targets: frozenset[str] = TARGETS, domain: str = "acme.com", **more: str) -> str:
    given = answers.complete({"mail_domain": domain, **more})
    return next_steps.plain(next_steps.steps(project, given, targets))


def test_the_steps_are_the_headings_of_the_page(project):
    text, page = told(project), (project / next_steps.PAGE).read_text(encoding="utf-8")
    found = next_steps.headings(page)
    assert [int(heading.partition(".")[0]) for heading in found] == list(range(1, len(found) + 1))
    assert text.endswith("".join(f"\n     {heading}" for heading in found)) and str(project) in text


def test_both_languages_have_the_same_number_of_steps():
    english, japanese = (next_steps.headings(page.read_text(encoding="utf-8")) for page in PAGES.values())
    assert len(english) == len(japanese) > 10


def test_the_readme_lists_the_steps_of_the_page():
    readme = (answers.ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(\d+\. )\[(.+)\]\(.+start-here\.md#(.+)\)$", readme, flags=re.MULTILINE)
    page = next_steps.headings(PAGES["en"].read_text(encoding="utf-8"))
    assert tuple(number + title for number, title, _ in listed) == page
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in page]
    assert [anchor for *_, anchor in listed] == anchors


def test_the_trial_comes_first_and_folders_with_spaces_are_quoted(project):
    assert told(project).splitlines()[1].strip() == f"make -C '{project}' local"


def test_of_several_hosts_their_page_comes_first_and_nothing_is_tried_on_one_machine(project):
    text = told(project, scale="swarm")
    assert next_steps.HOSTS in text.splitlines()[0] and " local" not in text


def test_the_example_domain_ends_in_a_hint_to_choose_an_own_one(project):
    text = told(project, domain="example.com")
    assert "make new ANSWERS=" in text and next_steps.PAGE not in text


def test_a_repository_without_a_makefile_names_no_target(project):
    assert "make " not in told(project, frozenset())
