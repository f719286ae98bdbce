"""Which Compose files make a project, and the readings that a project has."""

from __future__ import annotations

import pytest

from policies.shared.repository import Repository

MAIN = "docker-compose.yml"


def readings(tmp_path, files: dict[str, str]) -> list[tuple[str, str]]:
    """Return title and the image of web for each reading of each project."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = Repository(tmp_path).compose
    return [(each.title, str(each.services["web"].get("image"))) for each in found if "web" in each.services]


def test_a_project_is_read_with_the_example_and_with_every_default(tmp_path):
    text = "services:\n  web: {image: '${A:-nginx}:${B:-latest}'}\n"
    found = readings(tmp_path, {MAIN: text, ".env.example": "B=1\n"})
    assert found == [(MAIN, "nginx:1"), (f"{MAIN} with every default", "nginx:latest")]


@pytest.mark.parametrize(
    ("starter", "line"),
    [
        (".env.example", "COMPOSE_FILE=docker-compose.yml:deploy/more.tmpl\n"),
        (".env.example", "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=docker-compose.yml,deploy/more.tmpl\n"),
    ],
)
def test_files_that_the_example_names_are_laid_over_the_main_one(tmp_path, starter, line):
    main, more = "services:\n  web: {image: 'nginx:1'}\n", "services:\n  web: {image: 'nginx:2'}\n"
    found = readings(tmp_path, {MAIN: main, "deploy/more.tmpl": more, starter: line})
    assert (f"{MAIN} + deploy/more.tmpl", "nginx:2") in found


def test_a_file_of_a_folder_without_a_main_file_is_laid_over_the_one_in_the_root(tmp_path):
    main, more = "services:\n  web: {image: 'nginx:1'}\n", "services:\n  web: {image: 'nginx:2'}\n"
    found = readings(tmp_path, {MAIN: main, "deploy/more.yml": more})
    assert (f"{MAIN} + deploy/more.yml", "nginx:2") in found


def test_a_file_that_the_example_names_and_nobody_has_is_a_problem(tmp_path):
    (tmp_path / MAIN).write_text("services:\n  web: {image: 'nginx:1'}\n")
    (tmp_path / ".env.example").write_text(f"COMPOSE_FILE={MAIN}:gone.yml\n")
    repository = Repository(tmp_path)
    assert repository.compose
    assert [problem.what for problem in repository.problems] == [
        "COMPOSE_FILE names gone.yml, and there is no such file"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{services: {web: {image: 'nginx:1'}}}\n",
        "--- {services: {web: {image: 'nginx:1'}}}\n",
        "? services\n: web: {image: 'nginx:1'}\n",
        "  services:\n    web: {image: 'nginx:1'}\n",
        "x-all: &all {web: {image: 'nginx:1'}}\nservices: *all\n",
    ],
)
def test_a_compose_file_is_known_by_what_it_holds(tmp_path, text):
    assert readings(tmp_path, {"stack.yaml": text})[0] == ("stack.yaml", "nginx:1")


def test_a_list_of_services_makes_no_compose_file(tmp_path):
    assert readings(tmp_path, {".gitlab-ci.yml": "services: [docker:dind]\n"}) == []
