"""What every combination of answers generates: which files, with which modes, and nothing of cookiecutter."""

import json
import os
import re
import shutil
import subprocess

import pytest
from binaryornot.check import is_binary

from tests.generation import golden
from tests.generation.generate import config_file, render
from tests.generation.repositories import COMBINATIONS, POST_GEN, TEMPLATE, files, settled, text
from tools import answers

RENDERED_WITHOUT = json.loads(answers.QUESTIONS.read_text(encoding="utf-8"))["_copy_without_render"]
# Where a sign of Jinja is somebody else's: (path, what stands there).
OTHER_LANGUAGES = (
    (r"^\.github/", r"\$\{\{[^{}]*\}\}"),  # GitHub Actions
    (r"^(docs/|README\.md)", r"--format '[^']*'"),  # what docker shall print
)
# The gate may read the answers that cruft keeps, under cookiecutter's name; `make update` runs cruft.
KNOWS_CRUFT = re.compile(
    r"^platform/(policies/|requirements/update\.txt$|schemas/answers\.schema\.json$|scripts/update\.py$)"
)
JINJA = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|^\s*#%", re.MULTILINE)


def is_copied(relative):
    """Tell whether cookiecutter copies a file as it is."""
    name = relative.as_posix()
    return any(name == path or name.startswith(f"{path}/") for path in RENDERED_WITHOUT)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_exactly_the_approved_files(repositories, name):
    made, wanted = golden.listed(repositories[name]), golden.expected(COMBINATIONS[name])
    assert sorted(made - wanted) == [], "not approved: python -m tests.generation.golden"
    assert sorted(wanted - made) == [], "approved and missing: python -m tests.generation.golden"


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_answers_are_kept_as_a_file_that_gives_them_again(repositories, name):
    kept = answers.read(repositories[name] / "answers.yml")
    assert answers.validator().normalise(kept) == answers.complete(COMBINATIONS[name])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_tree_is_the_template_less_what_the_table_prunes(repositories, name):
    given = answers.complete(COMBINATIONS[name])
    other_languages = {TEMPLATE / "_docs" / language for language in ("en", "ja")} - {
        TEMPLATE / "_docs" / given["language"]
    }
    gone = {TEMPLATE / path for path in POST_GEN.pruned(given)} | other_languages
    kept = [path for path in files(TEMPLATE) if not gone & {TEMPLATE / path, *(TEMPLATE / path).parents}]
    wanted = [*(settled(path).as_posix() for path in kept), "platform/checksums"]
    assert sorted(wanted) == sorted(golden.listed(repositories[name]))


@pytest.mark.parametrize("row", POST_GEN.PRUNE, ids=lambda row: f"{row[0]}={row[1]}")
def test_every_row_of_the_table_means_something(row):
    question, answer, paths = row
    default = answers.questions()[question]
    assert answer in (default if isinstance(default, list) else [True, False])
    assert [path for path in paths if not (TEMPLATE / path).exists()] == []


@pytest.mark.parametrize("name", COMBINATIONS)
def test_no_empty_folder_no_link_and_only_the_repository(repositories, name):
    root = repositories[name]
    assert [path.name for path in root.parent.iterdir()] == [
        answers.complete(COMBINATIONS[name])["project_slug"]
    ]
    for folder, folders, names in os.walk(root):
        assert folders or names, f"{folder} is empty"
    assert [path for path in root.rglob("*") if path.is_symlink()] == []


def test_modes_are_those_of_the_template(repositories):
    root = repositories["defaults"]
    for relative in files(TEMPLATE):
        made = root / settled(relative)
        if made.exists():
            assert made.stat().st_mode & 0o111 == (TEMPLATE / relative).stat().st_mode & 0o111, relative


def test_exactly_the_files_that_name_an_interpreter_are_executable(distinct):
    for root, relative in distinct:
        names_interpreter = (root / relative).read_bytes().startswith(b"#!")
        assert bool((root / relative).stat().st_mode & 0o111) == names_interpreter, relative


def test_nothing_of_cookiecutter_is_left(distinct):
    for root, relative in distinct:
        body = text(root / relative)
        if body is None:
            continue
        assert "cookiecutter" not in body.lower() or KNOWS_CRUFT.match(relative.as_posix()), relative
        if not is_copied(relative):
            for path, allowed in OTHER_LANGUAGES:
                body = re.sub(allowed, "", body) if re.search(path, relative.as_posix()) else body
            assert JINJA.search(body) is None, relative


def test_files_that_are_not_rendered_arrive_byte_for_byte(repositories):
    copied = [relative for relative in files(TEMPLATE) if is_copied(relative)]
    assert copied
    # A host that fetches by itself, the default, has no workflow that deploys, nor one that asks it over SSH.
    names = ("deploy_method=ssh", "groupware=True", "scale=swarm", "defaults")
    roots = [repositories[name] for name in names]
    for relative in copied:
        made = next(path for root in roots if (path := root / relative).exists())
        assert made.read_bytes() == (TEMPLATE / relative).read_bytes(), relative


def test_what_is_not_rendered_is_named_plainly():
    assert [path for path in RENDERED_WITHOUT if set("*?[") & set(path) or path.endswith("/")] == []


def test_no_name_in_the_template_is_rendered():
    assert [path for path in files(TEMPLATE) if "{" in str(path)] == []


def test_documents_do_not_overwrite_other_files():
    targets = [settled(path) for path in files(TEMPLATE) if path.parts[:2] != ("_docs", "ja")]
    assert len(targets) == len(set(targets))


def test_the_same_answers_give_the_same_bytes(repositories, tmp_path):
    again = render(COMBINATIONS["defaults"], tmp_path / "out", config_file(tmp_path / "config"))
    for relative in files(repositories["defaults"]):
        assert (again / relative).read_bytes() == (repositories["defaults"] / relative).read_bytes(), relative
    assert golden.listed(again) == golden.listed(repositories["defaults"])


def test_the_checksums_of_the_platform_are_those_of_its_files(repositories):
    platform = repositories["defaults"] / "platform"
    command = ["sha256sum", "--check", "--strict", "--quiet", "checksums"]
    assert subprocess.run(command, cwd=platform, check=False).returncode == 0
    named = {line.split("  ", 1)[1] for line in (platform / "checksums").read_text("utf-8").splitlines()}
    assert named == golden.listed(platform) - {"checksums"}


@pytest.mark.parametrize("name", ["defaults", "antivirus=False", "language=ja"])
def test_to_settle_twice_changes_nothing(repositories, name, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(repositories[name], copy)
    POST_GEN.settle(copy, answers.complete(COMBINATIONS[name]))
    assert golden.listed(copy) == golden.listed(repositories[name])


def test_settling_takes_one_language_and_drops_leftovers_and_empty_folders(tmp_path):
    for path in (
        "_docs/en/README.md",
        "_docs/ja/README.md",
        "_docs/ja/docs/a.md",
        "app/__pycache__/a.pyc",
        "app/a.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path, encoding="utf-8")
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    POST_GEN.settle(tmp_path, {**answers.complete({}), "language": "ja"})
    assert golden.listed(tmp_path) == {"README.md", "docs/a.md", "app/a.py"}
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "_docs/ja/README.md"
    assert {path.name for path in tmp_path.rglob("*") if path.is_dir()} == {"docs", "app"}


def test_no_text_of_the_template_is_taken_for_binary():
    """cookiecutter judges the first 1024 bytes, and copies without rendering what it takes for binary."""
    texts = [path for path in files(TEMPLATE) if not is_copied(path) and text(TEMPLATE / path) is not None]
    taken = [path for path in texts if is_binary(str(TEMPLATE / path))]
    assert taken == [], "add or remove a character in its first lines"
