"""`make new` without a terminal: what it reads, refuses, makes and says."""

import json
import os
import re
import subprocess
import sys

import pytest

from tools import answers, new


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def no_repository(monkeypatch):
    """A make new that must not come as far as cookiecutter."""

    def fail(*_arguments):
        pytest.fail("generated although something was wrong")

    monkeypatch.setattr(new, "generate", fail)


@pytest.fixture(autouse=True)
def machine_in_utc(monkeypatch):
    """The same machine everywhere."""
    monkeypatch.setenv("TZ", "UTC")


def run(*arguments, **options):
    command = [sys.executable, "-m", "tools.new", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=answers.ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


def test_without_a_terminal_it_takes_the_defaults(tmp_path):
    done = run("--out", tmp_path, "--no-check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}/mailserver is ready\n\nNext:\n1. ")
    assert [path.name for path in tmp_path.iterdir()] == ["mailserver"]
    assert "\x1b" not in done.stdout


def test_each_step_has_a_line_and_only_the_repository_is_made(tmp_path):
    """The gate's environment, hundreds of megabytes, stays with the template."""
    done = run("--out", tmp_path, env={**os.environ, "PATH": f"{fake_make(tmp_path)}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\[(\d/3)\] (Write|Prepare|Run)", done.stderr, re.MULTILINE) == [
        ("1/3", "Write"),
        ("2/3", "Prepare"),
        ("3/3", "Run"),
    ]
    called = (tmp_path / "called").read_text(encoding="utf-8").splitlines()
    assert called[0].endswith(f"-C {answers.ROOT} .venv-gate/.done")
    assert f"-C {tmp_path}/mailserver check GATE={answers.ROOT}/.venv-gate " in called[1]


def fake_make(tmp_path):
    """Return a folder with a make that only notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "make").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n', encoding="utf-8")
    (folder / "make").chmod(0o755)
    return folder


def test_json_is_all_there_is_on_standard_output(tmp_path):
    file = tmp_path / "answers.yml"
    file.write_text(
        "mail_domain: acme.com\nadmin_email: ada@acme.org\nobject_lock_days: 7\n", encoding="utf-8"
    )
    done = run("--answers", file, "--out", tmp_path / "out", "--no-check", "--json")
    said = json.loads(done.stdout)
    assert said["project"] == str(tmp_path / "out" / "mailserver")
    assert said["answers"]["webmail_host"] == "mail.acme.com" and said["answers"]["object_lock_days"] == 7
    assert said["check"] == "not run" and said["next"][0]["title"]


def test_a_refusal_as_json_lists_every_problem(tmp_path, capsys):
    file = tmp_path / "answers.yml"
    file.write_text("mail_domain: Acme.com\nrelay: pigeon\n", encoding="utf-8")
    assert new.main(["--answers", str(file), "--out", str(tmp_path), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["project"] is None
    assert [problem["field"] for problem in said["problems"]] == ["mail_domain", "relay"]
    assert said["problems"][0]["fix"] == "'acme.com'"


def test_answers_and_out_come_from_the_environment_too(tmp_path, monkeypatch):
    monkeypatch.setenv("ANSWERS", "a.yml")
    monkeypatch.setenv("OUT", str(tmp_path))
    options = new.parser().parse_args([])
    assert (options.answers, options.out) == ("a.yml", str(tmp_path))


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_exists_is_never_overwritten(kind, tmp_path, capsys):
    target = tmp_path / "mailserver"
    {
        "folder": target.mkdir,
        "file": lambda: target.write_text("mine", encoding="utf-8"),
        "dangling link": lambda: target.symlink_to("nowhere"),
    }[kind]()
    before = tree(tmp_path)
    assert new.main(["--out", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr().err
    assert (
        said
        == f"{target} exists; choose another OUT or project_slug, or move it away\nnothing was generated\n"
    )
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("no_repository")
def test_an_existing_target_is_told_before_any_wrong_answer(tmp_path, capsys):
    file = tmp_path / "answers.yml"
    file.write_text("project_slug: acme\nmail_domain: gmail.com\n", encoding="utf-8")
    (tmp_path / "acme").mkdir()
    assert new.main(["--answers", str(file), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/acme exists" in said and "gmail.com" not in said


def test_a_file_in_the_way_of_the_folder_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert new.main(["--out", str(tmp_path / "file" / "deep"), "--json"]) == 1
    assert "file is not a folder; choose another OUT\nnothing was generated\n" in capsys.readouterr().err
    assert tree(tmp_path) == ["file"]


def test_the_template_itself_is_no_place_for_a_repository(capsys):
    inside = answers.ROOT / "{{cookiecutter.project_slug}}" / "out"
    assert new.main(["--out", str(inside), "--json"]) == 1
    assert "is part of the template" in capsys.readouterr().err
    assert not inside.exists()


def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch):
    import cookiecutter.main

    def half(*_arguments, output_dir, **_options):
        (new.Path(output_dir) / "mailserver").mkdir(parents=True)
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(cookiecutter.main, "cookiecutter", half)
    with pytest.raises(RuntimeError):
        new.generate(answers.complete({}), tmp_path / "out" / "deep")
    assert tree(tmp_path) == []


@pytest.mark.usefixtures("no_repository")
@pytest.mark.parametrize("name", ["missing.yml", "."])
def test_a_file_that_cannot_be_read_is_named(name, tmp_path, capsys):
    assert new.main(["--answers", str(tmp_path / name), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(str(tmp_path)) and "name a YAML file with answers instead" in said
    assert said.endswith("nothing was generated\n")


@pytest.mark.usefixtures("no_repository")
def test_a_file_that_is_no_text_is_named(tmp_path, capsys):
    file = tmp_path / "answers.yml"
    file.write_bytes(b"mail_domain: caf\xe9.com\n")
    assert new.main(["--answers", str(file)]) == 1
    assert "it is not UTF-8 text" in capsys.readouterr().err


def test_misuse_has_an_exit_code_of_its_own():
    assert run("--colour").returncode == 2


def test_help_teaches_by_examples():
    said = run("--help").stdout
    assert "make new ANSWERS=answers.yml OUT=" in said and "mail_domain: acme.com" in said


def test_help_does_not_wait_for_cookiecutter_to_load():
    code = (
        "import sys; from tools import new; sys.exit(any(m in sys.modules for m in ('cookiecutter', 'rich')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=answers.ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(("recipe", "code", "verdict"), [("@true", 0, "passed"), ("@false", 1, "failed")])
def test_the_gate_of_the_result_decides(recipe, code, verdict, tmp_path, monkeypatch, capfd):
    project = tmp_path / "made"
    project.mkdir()
    (project / "Makefile").write_text(f"check: ## gate\n\t{recipe}\nother:\nVAR := 1\n", encoding="utf-8")
    monkeypatch.setattr(new, "generate", lambda *_arguments: new.Made(project, ()))
    monkeypatch.setattr(new, "ROOT", tmp_path)
    (tmp_path / "Makefile").write_text(".venv-gate/.done:\n", encoding="utf-8")
    assert new.main(["--json", "--out", str(tmp_path)]) == code
    assert json.loads(capfd.readouterr().out)["check"] == verdict
    assert new.make_targets(project) == {"check", "other"}


def test_numbers_are_read_as_people_write_them():
    assert answers.parse("a: 030\nb: 30\nc: 1:30\nd: 1_0\ne: -5\nf: 2026-01-01\n") == {
        "a": "030",
        "b": 30,
        "c": "1:30",
        "d": "1_0",
        "e": -5,
        "f": "2026-01-01",
    }
