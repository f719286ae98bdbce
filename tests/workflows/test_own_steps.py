"""Every `run` step of the template's own workflows, in the order of its job, in a fresh clone.

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
RELEASE = jobs(TEMPLATE, "release")["release"]
VALUES = {"${{ github.token }}": "a-token"}
#: Environments that Make builds, with the mark that says that one is complete.
BUILT = {
    ".venv": (".new", ".dev"),
    ".venv-policies": (".done",),
    ".venv-gate": (".done",),
    ".venv-terraform": (".done",),
    ".venv-checkov": (".done",),
}
#: Which tests stand for a whole suite.
CHOSEN = {
    "make test-fast LONG=yes": "'test_lock or test_addresses or test_env_file' --cov-fail-under=0",
    "make policies-test": "test_waivers",
    "make terraform-test": "test_front_door",
}
#: One version stands for all of them, and its trial is `make soak`'s.
UPGRADES = {"VERSIONS": "0.8.0", "MAILS": "0"}
RELEASED = "## [99.0.0] - 2026-12-24\n\n- The newest one.\n\n## "
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
    for file in (*(clone / "requirements").glob("*.txt"), clone / "policies" / "requirements.txt"):
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
    borrow(made)
    return made


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
        return base | UPGRADES | ({"PYTEST_ADDOPTS": f"-k {chosen}"} if chosen else {})

    return given


@pytest.mark.parametrize("job", JOBS)
def test_the_steps_of_a_job_pass_in_order_and_leave_nothing(job, clone, environment):
    for script, given in scripts(JOBS[job], {}):
        step(script, clone, {**environment(script), **given})
    assert git(clone, "status", "--porcelain") == "", "a step leaves files that git would take"


def test_a_new_version_of_the_changelog_becomes_a_release_once(clone, environment, tmp_path):
    changelog = clone / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace("## ", RELEASED, 1), encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "A new version")
    head = git(clone, "rev-parse", "HEAD").strip()
    for script, given in scripts(RELEASE, VALUES):
        step(script, clone, {**environment(script), **given})
    asked = (tmp_path / "gh.log").read_text(encoding="utf-8")
    said = f"release create v99.0.0 --target {head} --title v99.0.0 --notes - The newest one."
    assert asked == f"a-token {said}\n"
    git(clone, "tag", "v99.0.0")
    for script, given in scripts(RELEASE, VALUES):
        step(script, clone, {**environment(script), **given})
    assert (tmp_path / "gh.log").read_text(encoding="utf-8") == asked
