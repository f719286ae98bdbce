"""The workflows are valid, say what they pin, and hold nothing but make targets."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "{{cookiecutter.project_slug}}"
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *GENERATED.glob(".github/workflows/*.yml")])
DEPENDABOT = [ROOT / ".github/dependabot.yml", GENERATED / ".github/dependabot.yml"]
USES = re.compile(r"^\s*(?:- )?uses: (?P<uses>\S+)(?P<comment>.*)$", re.MULTILINE)


def runs(workflow):
    """Return every script of a workflow."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def complaints(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_a_workflow_is_valid(file):
    check = (sys.executable, "-m", "check_jsonschema")
    assert complaints(*check, "--builtin-schema", "vendor.github-workflows", file) == ""


@pytest.mark.parametrize("file", DEPENDABOT, ids=named)
def test_the_settings_of_dependabot_are_valid_and_name_folders_that_exist(file):
    check = (sys.executable, "-m", "check_jsonschema")
    assert complaints(*check, "--builtin-schema", "vendor.dependabot", file) == ""
    for update in yaml.safe_load(file.read_text(encoding="utf-8"))["updates"]:
        for folder in update.get("directories") or [update["directory"]]:
            assert (file.parents[1] / folder.lstrip("/")).is_dir(), folder


@pytest.mark.parametrize("folder", [ROOT / ".github", GENERATED / ".github"], ids=named)
def test_zizmor_finds_nothing(folder):
    zizmor = Path(sys.executable).parent / "zizmor"
    assert complaints(zizmor, "--offline", "--no-progress", "--quiet", folder) == ""


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_every_action_is_pinned_by_a_commit_and_names_its_version(file):
    found = list(USES.finditer(file.read_text(encoding="utf-8")))
    assert found
    for each in found:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each["uses"])
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", each["comment"])


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_every_step_is_a_make_target_that_exists(file):
    makefile = (file.parents[2] / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for script in runs(file):
        words = re.fullmatch(r"(?:sudo )?make ([a-z-]+)(?: [A-Z]+=\S+)*", script)
        assert words, f"{script!r} is more than a make target"
        assert words[1] in targets
