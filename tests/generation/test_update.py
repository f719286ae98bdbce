"""`make update`: a newer template comes in, what was edited stays, and conflicts are shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.generation.test_cruft import PARTS, commit
from tests.stack.documents import HOW, NEWER_TEMPLATE, blocks, tasks
from tools import answers, repository

NAME = "{{cookiecutter.project_slug}}"
UPDATE = f"{NAME}/platform/scripts/update.py"
# A small template with the real questions and script: the whole one would take a minute for each test.
MAIN = "".join(f"setting_{number} = {{{{ cookiecutter.mail_domain }}}}\n" for number in range(12))
# A program, which is copied as it is.
TOOL = "".join(f"echo {number}\n" for number in range(12))
# What `make update` itself needs.
OWN = (
    "Makefile",
    "answers.yml",
    "platform/make",
    "platform/requirements/update.txt",
    "platform/scripts/update.py",
)

HOOK = "hooks/pre_gen_project.py"


@pytest.fixture
def template(tmp_path):
    """A template of few files in a git repository; its questions, hooks and script are the real ones."""
    folder = tmp_path / "template"
    folder.mkdir()
    for part in set(PARTS) - {NAME, "policies"}:
        copy = shutil.copytree if (answers.ROOT / part).is_dir() else shutil.copy2
        copy(answers.ROOT / part, folder / part)
    for part in OWN:
        source, target = answers.ROOT / NAME / part, folder / NAME / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    for language in ("en", "ja"):
        (folder / NAME / "_docs" / language).mkdir(parents=True)
        (folder / NAME / "_docs" / language / "README.md").write_text("Read me\n", encoding="utf-8")
    (folder / NAME / "main.cf").write_text(MAIN, encoding="utf-8")
    (folder / NAME / "scripts").mkdir()
    (folder / NAME / "scripts" / "tool.sh").write_text(TOOL, encoding="utf-8")
    (folder / NAME / ".gitignore").write_text(".venv-update/\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    commit(folder, "The template")
    return folder


@pytest.fixture
def made(template, tmp_path, monkeypatch):
    """A repository as `make new` makes it of that template."""
    monkeypatch.setattr(repository, "ROOT", template)
    given = answers.complete({"mail_domain": "acme.com", "admin_email": "ada@acme.org"})
    return make(template, tmp_path, given)


def make(template, tmp_path, given):
    with repository.staging(tmp_path / "out") as stage:
        project = repository.render(given, stage)
        repository.note_source(project, given, repository.source(template))
        repository.commit(project, given)
        return project.rename(tmp_path / "acme")


def update(project, *words):
    command = [sys.executable, "platform/scripts/update.py", *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def edit(folder, name, *change):
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")


def move(template, old, new):
    """Move a file of what is generated."""
    (template / NAME / new).parent.mkdir(parents=True, exist_ok=True)
    (template / NAME / old).rename(template / NAME / new)
    commit(template, f"{old} is {new} now")


def renew(template, main="main.cf"):
    """Change one line at the end of main.cf, add a file and a derived value."""
    edit(template, f"{NAME}/{main}", "setting_11 =", "setting_eleven =")
    (template / NAME / "new.cf").write_text("url = {{ cookiecutter.__webmail_url }}\n", encoding="utf-8")
    edit(template, "cookiecutter.json", '"__webmail_url": "https://', '"__webmail_url": "https://www.')
    commit(template, "Newer")
    return repository.git(template, "rev-parse", "HEAD")


def test_an_update_is_made_by_the_commands_that_the_documents_give(template, made):
    """With its own environment, installed for real; the gate, which it ends with, is run by other tests."""
    page = (answers.ROOT / NAME / "_docs" / "en" / HOW).read_text(encoding="utf-8")
    [block] = blocks(tasks(page)[NEWER_TEMPLATE])
    assert "\nmake check\n" in block
    renew(template)
    command = ["bash", "-euo", "pipefail", "-c", block.replace("make check\n", "")]
    who = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        command, cwd=made, env=os.environ | who, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "are merged" in done.stdout and "setting_eleven" in done.stdout
    assert repository.git(made, "status", "--porcelain") == ""


def test_the_new_comes_in_and_the_edited_stays(template, made):
    edit(made, "main.cf", "setting_1 = acme.com", "setting_1 = mine")
    (made / "own.cf").write_text("own\n", encoding="utf-8")
    commit(made, "Edited")
    newest = renew(template)
    done = update(made)
    assert done.returncode == 0, done.stderr
    assert "are merged" in done.stdout
    main = (made / "main.cf").read_text(encoding="utf-8")
    assert "setting_1 = mine\n" in main and "setting_eleven = acme.com\n" in main
    assert (made / "new.cf").read_text(encoding="utf-8") == "url = https://www.mail.acme.com\n"
    assert (made / "own.cf").exists()
    assert json.loads((made / ".cruft.json").read_text(encoding="utf-8"))["commit"] == newest


def test_a_conflict_is_shown_and_the_edit_is_in_it(template, made):
    edit(made, "main.cf", "setting_11 = acme.com", "setting_11 = mine")
    commit(made, "Edited the same line")
    renew(template)
    done = update(made)
    assert done.returncode == 1
    assert "  main.cf: choose between the marks" in done.stderr
    main = (made / "main.cf").read_text(encoding="utf-8")
    assert "<<<<<<< HEAD\nsetting_11 = mine\n=======\nsetting_eleven = acme.com\n>>>>>>> " in main


def test_a_second_update_has_nothing_to_do_and_changes_nothing(template, made):
    renew(template)
    assert update(made).returncode == 0
    commit(made, "Updated")
    done = update(made)
    assert (done.returncode, done.stdout) == (0, "nothing to merge: this repository is up to date\n")
    assert repository.git(made, "status", "--porcelain") == ""


def test_what_is_not_committed_is_never_touched(template, made):
    renew(template)
    edit(made, "main.cf", "setting_1 ", "setting_one ")
    before = (made / "main.cf").read_bytes()
    done = update(made)
    assert done.returncode == 1 and "commit them first" in done.stderr
    assert (made / "main.cf").read_bytes() == before and not (made / "new.cf").exists()


def test_a_template_that_has_moved_is_named_and_can_be_given(template, made, tmp_path):
    renew(template)
    moved = template.rename(tmp_path / "moved")
    done = update(made)
    assert done.returncode == 1 and "make update TEMPLATE=" in done.stderr
    assert repository.git(made, "status", "--porcelain") == ""
    assert update(made, "--template", str(moved)).returncode == 0
    assert (made / "new.cf").exists()


def test_an_answer_can_be_changed(made):
    done = update(made, "--answer", "antivirus=false", "--answer", "object_lock_days=7")
    assert done.returncode == 0, done.stderr
    kept = answers.read(made / "answers.yml")
    assert (kept["antivirus"], kept["object_lock_days"], kept["mail_domain"]) == (False, "7", "acme.com")


def test_a_wrong_answer_changes_nothing(made):
    assert update(made, "--answer", "ssd_path=/etc").returncode == 1
    assert repository.git(made, "status", "--porcelain") == ""


def test_a_repository_of_unknown_origin_says_how_to_link_it(made):
    (made / ".cruft.json").unlink()
    done = update(made)
    assert done.returncode == 1 and "cruft link TEMPLATE --checkout COMMIT" in done.stderr


def test_an_edit_goes_with_its_file_where_the_template_has_moved_it(template, made):
    edit(made, "main.cf", "setting_1 = acme.com", "setting_1 = mine")
    commit(made, "Edited")
    move(template, "main.cf", "config/main.cf")
    assert update(made).returncode == 0
    assert not (made / "main.cf").exists()
    assert "setting_1 = mine\n" in (made / "config" / "main.cf").read_text(encoding="utf-8")


def test_platform_is_replaced_and_an_edit_in_it_becomes_a_patch_that_applies(template, made):
    edit(made, "scripts/tool.sh", "echo 1\n", "echo mine\n")
    commit(made, "Edited")
    move(template, "scripts/tool.sh", "platform/tool.sh")
    done = update(made)
    assert done.returncode == 1
    assert "\n  platform/tool.sh\n" in done.stderr and "git apply platform.patch" in done.stderr
    assert (made / "platform" / "tool.sh").read_text(encoding="utf-8") == TOOL
    subprocess.run(["git", "apply", "platform.patch"], cwd=made, check=True)
    assert "\necho mine\n" in (made / "platform" / "tool.sh").read_text(encoding="utf-8")


def test_what_was_added_to_platform_or_deleted_in_it_is_in_the_patch_too(template, made):
    (made / "platform" / "make" / "update.mk").rename(made / "platform" / "own.mk")
    commit(made, "Edited in platform")
    done = update(made)
    assert done.returncode == 1 and "\n  platform/own.mk\n" in done.stderr
    there = {path.name for path in (made / "platform").rglob("*")}
    assert "update.mk" in there and "own.mk" not in there
    subprocess.run(["git", "apply", "platform.patch"], cwd=made, check=True)
    there = {path.name for path in (made / "platform").rglob("*")}
    assert "update.mk" not in there and "own.mk" in there


def test_conflicts_within_platform_are_in_the_patch_and_not_in_the_files(template, made):
    edit(made, "scripts/tool.sh", "echo 11\n", "echo mine\n")
    commit(made, "Edited the same line")
    edit(template, f"{NAME}/scripts/tool.sh", "echo 11\n", "echo eleven\n")
    move(template, "scripts/tool.sh", "platform/tool.sh")
    assert update(made).returncode == 1
    assert (made / "platform" / "tool.sh").read_text(encoding="utf-8").endswith("echo 10\necho eleven\n")
    assert "+echo mine\n" in (made / "platform.patch").read_text(encoding="utf-8")
    assert repository.git(made, "ls-files", "--unmerged") == ""


def test_a_file_of_ones_own_in_a_folder_that_has_moved_stays_and_is_reported(template, made):
    move(template, "main.cf", "config/main.cf")
    assert update(made).returncode == 0
    (made / "config" / "own.cf").write_text("own\n", encoding="utf-8")
    commit(made, "Updated, and a file of one's own")
    move(template, "config/main.cf", "settings/main.cf")
    done = update(made)
    assert done.returncode == 0
    assert "config/own.cf is yours, in a folder that the template no longer has" in done.stderr
    assert (made / "config" / "own.cf").read_text(encoding="utf-8") == "own\n"


def test_a_file_that_was_deleted_here_stays_deleted(template, made):
    (made / "main.cf").unlink()
    commit(made, "Deleted")
    renew(template)
    assert update(made).returncode == 0
    assert not (made / "main.cf").exists() and (made / "new.cf").exists()


def test_a_file_that_the_template_removed_and_somebody_edited_is_kept_and_reported(template, made):
    edit(made, "main.cf", "setting_1 = acme.com", "setting_1 = mine")
    commit(made, "Edited")
    (template / NAME / "main.cf").unlink()
    commit(template, "Removed")
    done = update(made)
    assert done.returncode == 1 and "  main.cf: one of you moved or removed it" in done.stderr
    assert "setting_1 = mine\n" in (made / "main.cf").read_text(encoding="utf-8")


def test_a_persons_own_configuration_of_git_changes_nothing(template, made):
    for name, value in (("merge.renames", "false"), ("core.autocrlf", "true"), ("diff.noprefix", "true")):
        repository.git(made, "config", name, value)
    edit(made, "main.cf", "setting_1 = acme.com", "setting_1 = mine")
    edit(made, "platform/make/update.mk", "update:", "renew:")
    commit(made, "Edited")
    move(template, "main.cf", "config/main.cf")
    assert update(made).returncode == 1
    main = (made / "config" / "main.cf").read_bytes()
    assert b"setting_1 = mine\n" in main and b"\r" not in main
    assert "a/platform/make/update.mk" in (made / "platform.patch").read_text(encoding="utf-8")


def test_a_folder_of_another_repository_is_refused(template, made):
    (made / ".git").rename(made.parent / ".git")
    done = update(made)
    assert done.returncode == 1 and "a folder of another git repository" in done.stderr


def older(template, name, what, instead):
    """Take something out of the template before its first repository is made; returns what puts it back."""
    path = template / name
    newest = path.read_text(encoding="utf-8")
    path.write_text(re.sub(what, instead, newest), encoding="utf-8")
    commit(template, "Older")
    return lambda: (path.write_text(newest, encoding="utf-8"), commit(template, "Newest"))


def test_a_question_that_came_later_is_answered_by_its_default(template, tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "ROOT", template)
    renewed = older(template, "cookiecutter.json", r'\n *"_*account_(?:host|url)": .*', "")
    given = answers.complete({"mail_domain": "acme.com", "admin_email": "ada@acme.org"})
    del given["account_host"]
    made = make(template, tmp_path, given)
    assert "account_host" not in (made / "answers.yml").read_text(encoding="utf-8")
    renewed()
    done = update(made)
    assert done.returncode == 0, done.stderr
    assert 'account_host: "account.acme.com"\n' in (made / "answers.yml").read_text(encoding="utf-8")


def test_an_answer_that_was_good_once_is_refused_and_changed_with_the_update(template, tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "ROOT", template)
    renewed = older(template, "hooks/pre_gen_project.py", "yield from _address_problem.*", "pass")
    made = make(
        template, tmp_path, answers.complete({"mail_domain": "acme.com", "admin_email": "admin@acme.com"})
    )
    renewed()
    done = update(made)
    assert done.returncode == 1 and "admin_email: 'admin@acme.com' is wrong" in done.stderr
    assert "make update ANSWER=question=answer" in done.stderr
    assert repository.git(made, "status", "--porcelain") == ""
    done = update(made, "--answer", "admin_email=ada@acme.org")
    assert done.returncode == 0, done.stderr
    assert 'admin_email: "ada@acme.org"\n' in (made / "answers.yml").read_text(encoding="utf-8")


def test_a_repository_of_a_runner_is_told_the_methods_that_are_left_and_moves_to_one(
    template, tmp_path, monkeypatch
):
    monkeypatch.setattr(repository, "ROOT", template)
    today = {name: (template / name).read_text(encoding="utf-8") for name in ("cookiecutter.json", HOOK)}
    edit(
        template,
        "cookiecutter.json",
        '"deploy_method": ["pull", "ssh"]',
        '"deploy_method": ["pull", "runner"]',
    )
    edit(template, HOOK, '"enum": ["pull", "ssh"]', '"enum": ["pull", "runner"]')
    commit(template, "As it was")
    given = answers.complete({"mail_domain": "acme.com", "admin_email": "ada@acme.org"})
    made = make(template, tmp_path, given | {"deploy_method": "runner"})
    for name, text in today.items():
        (template / name).write_text(text, encoding="utf-8")
    commit(template, "The runner is gone")
    done = update(made)
    assert done.returncode == 1 and repository.git(made, "status", "--porcelain") == ""
    assert "runner" in done.stderr and "['pull', 'ssh']" in done.stderr
    assert "make update ANSWER=" in done.stderr
    moved = update(made, "--answer", "deploy_method=pull")
    assert moved.returncode == 0, moved.stderr
    state = json.loads((made / ".cruft.json").read_text(encoding="utf-8"))
    assert state["context"]["cookiecutter"]["deploy_method"] == "pull"
