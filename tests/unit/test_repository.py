"""The generated repository knows its template and begins with one commit, whoever's machine it is."""

from __future__ import annotations

import json
import subprocess

import pytest

from tools import answers, repository

ACME = {"project_name": "Acme Mail", "admin_email": "ops@acme.com"}


@pytest.fixture
def no_configuration(monkeypatch, tmp_path):
    """A machine on which git knows nobody."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CONFIG_HOME", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "README.md").write_text("hello\n", encoding="utf-8")
    (folder / "kept.log").write_text("a file that a person's own git ignores\n", encoding="utf-8")
    return folder


def log(project, form):
    return repository.git(project, "log", f"--format={form}")


@pytest.mark.usefixtures("no_configuration")
def test_where_git_knows_nobody_the_administrator_is_the_author(project):
    assert repository.commit(project, ACME) == "Acme Mail <ops@acme.com>"
    assert log(project, "%an <%ae> %s") == f"Acme Mail <ops@acme.com> {repository.MESSAGE}"


def test_a_configured_author_is_taken_and_nothing_else_of_the_configuration(project, no_configuration):
    hooks = no_configuration / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (hooks / "pre-commit").chmod(0o755)
    (no_configuration / "ignored").write_text("*.log\n", encoding="utf-8")
    (no_configuration / ".gitconfig").write_text(
        "[user]\n  name = Ada\n  email = ada@acme.org\n[commit]\n  gpgsign = true\n"
        f"[core]\n  hooksPath = {hooks}\n  excludesFile = {no_configuration}/ignored\n",
        encoding="utf-8",
    )
    assert repository.commit(project, ACME) == "Ada <ada@acme.org>"
    assert repository.git(project, "ls-files").split() == ["README.md", "kept.log"]
    assert log(project, "%an %G?") == "Ada N"


def test_a_calling_git_is_not_written_to(project, monkeypatch, tmp_path):
    other = tmp_path / "other"
    subprocess.run(["git", "init", "--quiet", str(other)], check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    repository.commit(project, ACME)
    assert (project / ".git").is_dir() and log(other, "%h") == ""


def clone(tmp_path, *remotes):
    """Return a template with one commit, pushed to its remotes."""
    folder = tmp_path / "template"
    folder.mkdir()
    (folder / "cookiecutter.json").write_text("{}\n", encoding="utf-8")
    repository.commit(folder, ACME)
    for name in remotes:
        subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / name)], check=True)
        for words in (["remote", "add", "origin", str(tmp_path / name)], ["push", "-q", "origin", "main"]):
            repository.git(folder, *words, check=True)
    return folder


def test_a_published_template_is_known_by_its_address(tmp_path):
    folder = clone(tmp_path, "published.git")
    found = repository.source(folder)
    assert found == (str(tmp_path / "published.git"), log(folder, "%H"), False)


def test_a_commit_that_nobody_has_pushed_is_known_by_its_folder(tmp_path):
    folder = clone(tmp_path, "published.git")
    (folder / "cookiecutter.json").write_text("[]\n", encoding="utf-8")
    assert repository.source(folder).edited
    repository.git(folder, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qam", "x", check=True)
    assert repository.source(folder) == (str(folder), log(folder, "%H").split()[0], False)


def test_a_template_without_git_has_no_source(tmp_path):
    assert repository.source(tmp_path) is None


def test_the_note_for_cruft_holds_every_answer(tmp_path):
    given = answers.complete({"mail_domain": "acme.com", "admin_email": "ada@acme.org"})
    repository.note_source(tmp_path, given, repository.Source("https://acme.com/t.git", "c0ffee", False))
    state = json.loads((tmp_path / ".cruft.json").read_text(encoding="utf-8"))
    kept = state["context"]["cookiecutter"]
    assert (state["template"], state["commit"]) == ("https://acme.com/t.git", "c0ffee")
    assert answers.validator().normalise({key: kept[key] for key in given}) == given
