"""Every `run` step of the template's own workflow, in the order of its job, in a fresh clone.

The suites that a step starts run one test file each here: whole, they are what `make test` runs besides this.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.workflows.runner import TEMPLATE, git, inherited, jobs, put, scripts, step

JOBS = jobs(TEMPLATE)
RELEASE = JOBS.pop("release")
VALUES = {"${{ github.token }}": "a-token", "${{ github.ref_name }}": "v0.0.1"}
#: Environments that Make builds, with the mark that says that one is complete.
BUILT = {
    ".venv": (".new", ".dev"),
    ".venv-policies": (".done",),
    ".venv-terraform": (".done",),
    ".venv-checkov": (".done",),
}
#: Which tests stand for a whole suite.
CHOSEN = {
    "make test-fast": "test_lock",
    "make policies-test": "test_waivers",
    "make terraform-test": "test_front_door",
}
RELEASED = "\n## [0.0.1] - 2026-01-01\n\n- The first one.\n"
#: The demo of the tests has a name and ports of its own: others may be running.
DEMO = {"project_name": "Workflow demo"}
FIRST_PORT = int(os.environ.get("STACK_FIRST_PORT", "21000")) + 500
PORTS = ("WEB", "SINK", "IMAPS", "SUBMISSION", "SUBMISSIONS", "API")


def borrow(clone: Path) -> None:
    """Give a clone the environments that this checkout has, complete ones, instead of building them again."""
    marks = [f"{folder}/{mark}" for folder, names in BUILT.items() for mark in names]
    step(f"make --silent {' '.join(marks)}", TEMPLATE, inherited())
    with (clone / ".git" / "info" / "exclude").open("a", encoding="utf-8") as exclude:
        exclude.writelines(f"/{folder}\n" for folder in BUILT)
    for folder in BUILT:
        (clone / folder).symlink_to(TEMPLATE / folder)
    for file in (clone / "requirements").glob("*.txt"):
        os.utime(file, (0, 0))


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """This checkout as it is now, as somebody would have pushed it."""
    made = tmp_path_factory.mktemp("template") / "clone"
    git(TEMPLATE, "clone", "--quiet", "--no-hardlinks", str(TEMPLATE), str(made))
    changed = git(TEMPLATE, "ls-files", "-z", "--modified", "--others", "--exclude-standard").split("\0")
    for name in filter(None, changed):
        source, target = TEMPLATE / name, made / name
        target.unlink(missing_ok=True)
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--allow-empty", "--message", "as it is now")
    release(made)
    borrow(made)
    return made


def release(clone: Path) -> None:
    """Make a release of a clone, and a commit after it that changes what is generated."""
    for name, text in (("CHANGELOG.md", RELEASED), ("{{cookiecutter.project_slug}}/compose.local.yml", "")):
        with (clone / name).open("a", encoding="utf-8") as file:
            file.write(text or "# After the release.\n")
        git(clone, "commit", "--quiet", "--all", "--message", name)
        if text:
            git(clone, "tag", "v0.0.1")


@pytest.fixture
def environment(tmp_path) -> Callable[[str], dict[str, str]]:
    """Return a function that gives what a step sees: a sudo, and settings that keep the demo to itself."""
    put(tmp_path / "bin", "sudo", '#!/bin/sh\nexec "$@"\n')
    put(tmp_path / "bin", "gh", f'#!/bin/sh\necho "$GH_TOKEN $*" >>{tmp_path}/gh.log\n')
    settings = tmp_path / "cookiecutter.yml"
    private = {"cookiecutters_dir": str(tmp_path / "cache"), "replay_dir": str(tmp_path / "replay")}
    settings.write_text(yaml.safe_dump({"default_context": DEMO, **private}), encoding="utf-8")
    ports = {f"LOCAL_{name}_PORT": str(FIRST_PORT + number) for number, name in enumerate(PORTS)}
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    base = {**inherited(), **ports, "PATH": path, "COOKIECUTTER_CONFIG": str(settings)}

    def given(script: str) -> dict[str, str]:
        chosen = CHOSEN.get(script)
        return base | ({"PYTEST_ADDOPTS": f"-k {chosen}"} if chosen else {})

    return given


@pytest.mark.parametrize("job", JOBS)
def test_the_steps_of_a_job_pass_in_order_and_leave_nothing(job, clone, environment):
    for script, given in scripts(JOBS[job], {}):
        step(script, clone, {**environment(script), **given})
    assert git(clone, "status", "--porcelain") == "", "a step leaves files that git would take"


def test_a_tag_becomes_a_release_with_its_section_of_the_changelog(clone, environment, tmp_path):
    for script, given in scripts(RELEASE, VALUES):
        step(script, clone, {**environment(script), **given})
    asked = (tmp_path / "gh.log").read_text(encoding="utf-8")
    assert asked == "a-token release create v0.0.1 --verify-tag --title v0.0.1 --notes - The first one.\n"
