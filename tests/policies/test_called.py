"""What a step of a workflow calls: targets, scripts, packages; and scripts that nobody writes by hand."""

import pytest

from policies.shared.repository import Repository
from policies.workflows.called import called, everything
from policies.workflows.makefiles import makefile
from policies.workflows.untrusted import Script

MAKEFILE = """HOST := root@mail.example.com
SHIP = ssh $(HOST)
NOTE ?= none
include more.mk

.PHONY: ship
ship: copied ## To the host
\t@$(SHIP) "echo $$HOME $(NOTE) $(OTHER)"

%-all:
\t@echo $*
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "ops").mkdir()
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "more.mk").write_text("copied:\n\t-rsync ./ \\\n\t  $(HOST):/srv\n")
    (tmp_path / "ops/release.sh").write_text("#!/bin/bash\n./copy.sh\n")
    (tmp_path / "ops/copy.sh").write_text("#!/bin/bash\nscp a b:\n./release.sh\n")
    (tmp_path / "ops/note.py").write_text("print(1)\n")
    (tmp_path / "package.json").write_text('{"scripts": {"note": "node note.js"}}')
    return Repository(tmp_path)


def test_a_target_runs_its_recipe_and_what_it_needs_with_variables_put_in(project):
    script = makefile(project).script("ship")
    assert 'ssh root@mail.example.com "echo $HOME none $(OTHER)"' in script
    assert "rsync ./ root@mail.example.com:/srv" in " ".join(script.split())


def test_the_environment_reaches_variables_that_the_makefile_does_not_set(project):
    assert makefile(project).pasted("ship") == {"NOTE", "OTHER"}


def test_without_a_target_the_first_one_is_made(project):
    assert [each.name for each in called("make -j2", project)] == ["make . ship"]


def test_a_pattern_is_a_target_too(project):
    assert makefile(project).script("check-all") == "echo $*"


@pytest.mark.parametrize(
    "command",
    [
        "ops/release.sh",
        "./ops/release.sh --now",
        "bash -eu ops/release.sh",
        "source ops/release.sh",
        '"$GITHUB_WORKSPACE/ops/release.sh"',
    ],
)
def test_a_script_is_found_however_it_is_started(project, command):
    assert [each.name for each in called(command, project)] == ["ops/release.sh"]


def test_a_module_of_python_is_a_file_and_no_shell_script(project):
    assert [(each.name, each.shell) for each in called("python3 -m ops.note", project)] == [
        ("ops/note.py", False)
    ]


def test_a_script_of_a_package_is_found(project):
    assert [each.text for each in called("npm run note", project)] == ["node note.js"]


def test_scripts_that_call_each_other_are_read_once(project):
    names = [each.name for each in everything("cd ops && ./release.sh", project)]
    assert names == ["", "ops/release.sh", "ops/copy.sh"]


def test_what_is_not_here_is_not_called(project):
    assert list(called("curl https://example.com/ops/release.sh", project)) == []


@pytest.mark.parametrize("text", ["$(" * 500, "`" * 501, "'\"" * 500, "<<END\n" * 50, "((" * 500, "\\"])
def test_a_script_that_nobody_writes_can_be_read(text):
    assert isinstance(Script(text, {"TITLE"}).found, list)


def test_a_chain_of_targets_has_no_end_that_matters(tmp_path):
    chain = "".join(f"t{number}: t{number + 1}\n\t@true\n" for number in range(3000))
    (tmp_path / "Makefile").write_text(f"{chain}t3000: t0\n")
    assert makefile(Repository(tmp_path)).script("t0").count("true") == 3000
