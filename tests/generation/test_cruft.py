"""cruft gives the same tree as cookiecutter, and its updates keep what the answers decided."""

import json
import shutil
import subprocess

import cruft
import pytest

from tests.generation.generate import config_file, render
from tests.generation.repositories import COMBINATIONS, POST_GEN, TEMPLATE, files
from tools import answers

SOME = ("defaults", "antivirus=False", "language=ja", "every text changed")
PARTS = ("cookiecutter.json", "hooks", "schemas", "policies", TEMPLATE.name)
LINK = f"{TEMPLATE.name}/linked"


def git(folder, *arguments):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def commit(folder, message):
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The template of today as a git repository, with one more folder that is a link to the top level."""
    folder = tmp_path_factory.mktemp("template")
    for part in PARTS:
        source = answers.ROOT / part
        if source.is_dir():
            shutil.copytree(
                source, folder / part, symlinks=True, ignore=shutil.ignore_patterns(*POST_GEN.LEFTOVERS)
            )
        elif source.exists():
            shutil.copy2(source, folder / part)
    (folder / LINK).symlink_to("../hooks", target_is_directory=True)
    questions = json.loads((folder / "cookiecutter.json").read_text(encoding="utf-8"))
    questions["_copy_without_render"].append("linked")
    (folder / "cookiecutter.json").write_text(json.dumps(questions), encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "The template")
    return folder


def contents(root):
    """Return every file's bytes and whether it is executable."""
    return {
        path: ((root / path).read_bytes(), (root / path).stat().st_mode & 0o111)
        for path in files(root)
        if path.parts[0] not in (".git", ".cruft.json")
    }


def create(template, changes, tmp_path):
    config = config_file(tmp_path / "cruft-config")
    return cruft.create(
        str(template), tmp_path / "cruft", config_file=config, extra_context=dict(changes), no_input=True
    )


@pytest.mark.parametrize("name", SOME)
def test_cruft_and_cookiecutter_give_the_same_bytes(template, name, tmp_path):
    by_cruft = create(template, COMBINATIONS[name], tmp_path)
    by_cookiecutter = render(COMBINATIONS[name], tmp_path / "out", config_file(tmp_path / "config"), template)
    assert contents(by_cruft) == contents(by_cookiecutter)
    assert (by_cruft / ".cruft.json").exists()


def test_a_linked_folder_arrives_as_real_files(template, tmp_path):
    made = create(template, {}, tmp_path)
    assert not (made / "linked").is_symlink()
    hook = (answers.ROOT / "hooks" / "pre_gen_project.py").read_bytes()
    assert (made / "linked" / "pre_gen_project.py").read_bytes() == hook, "copied and not rendered"


def test_cruft_refuses_bad_answers_and_leaves_nothing(template, tmp_path, capfd):
    with pytest.raises(Exception, match="exit status: 1"):
        create(template, {"ssd_path": "/etc"}, tmp_path)
    assert "ssd_path: '/etc' is wrong because" in capfd.readouterr().err
    assert list((tmp_path / "cruft").iterdir()) == []


def test_an_update_brings_the_new_and_leaves_out_what_the_answers_left_out(template, tmp_path, monkeypatch):
    source = tmp_path / "template"
    shutil.copytree(template, source, symlinks=True)
    made = create(
        source, {"antivirus": False, "mail_domain": "acme.com", "admin_email": "ada@acme.org"}, tmp_path
    )
    git(made, "init", "--quiet", "--initial-branch", "main")
    commit(made, "Generated")
    before = contents(made)

    generated = source / TEMPLATE.name
    (generated / "config" / "clamav" / "more.conf").write_text("new\n", encoding="utf-8")
    (generated / "config" / "hello.conf").write_text("{{ cookiecutter.mail_domain }}\n", encoding="utf-8")
    commit(source, "Two more files")
    monkeypatch.chdir(tmp_path)
    assert cruft.update(made, skip_apply_ask=True)

    after = contents(made)
    new = {path.as_posix(): body for path, (body, _) in after.items() if path not in before}
    assert new == {"config/hello.conf": b"acme.com\n"}
    assert {path: after[path] for path in before} == before
