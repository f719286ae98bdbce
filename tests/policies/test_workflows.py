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
#: What a job calls of this repository, $/…, is of the same commit.
USES = re.compile(r"^\s*(?:- )?uses: (?!\$/)(?P<uses>\S+)(?P<comment>.*)$", re.MULTILINE)


def runs(workflow):
    """Return every script of a workflow."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]


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


#: What each of Dependabot's ecosystems looks for.
PINNED = {
    "pip": r"(?:.*/)?(?:requirements[^/]*|requirements/[^/]+)\.txt",
    "npm": r"(?:.*/)?package-lock\.json",
    "docker": r"(?:.*/)?Dockerfile",
    "docker-compose": r"(?:.*/)?docker-compose\.yml",
    "terraform": r"(?:.*/)?provider\.tf|terraform/state-bootstrap/main\.tf",
    "github-actions": r"(?:.*/)?\.github/workflows/[^/]+\.yml",
}
#: What `make update` replaces in a generated repository: the template's own Dependabot looks after it.
VENDORED = re.compile(r"platform/")
#: Files for tests and stand-ins that pin nothing, or whose pins are what is tested.
NOT_OURS = re.compile(
    r"tests/policies/(?:fixtures|elsewhere)/|tests/generation/|tests/swarm/(?:node|project)/"
    r"|tests/(?:standins/[^/]+|(?:stack|deploy)/host)/Dockerfile"
)


def names_of(root):
    """Return the files of a repository."""
    if root != ROOT:
        found = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        return [name for name in found if not VENDORED.match(name)]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if not NOT_OURS.match(name)]


def pinning(root, pattern):
    """Return the folders, as Dependabot names them, of the files that pin something."""
    found = [name for name in names_of(root) if re.fullmatch(pattern, name)]
    # Actions are named by the folder that holds .github.
    return {"/" + name.partition(".github/")[0].rpartition("/")[0] for name in found}


@pytest.mark.parametrize("which", ["the template", "a generated repository"])
def test_dependabot_looks_at_everything_that_is_pinned_and_not_vendored(which, generate):
    root = ROOT if which == "the template" else generate()
    updates = yaml.safe_load((root / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    told = {
        each["package-ecosystem"]: set(each.get("directories") or [each["directory"]]) for each in updates
    }
    wanted = {kind: pinning(root, pattern) for kind, pattern in PINNED.items()}
    assert told == {kind: folders for kind, folders in wanted.items() if folders}


def test_a_major_version_comes_in_a_pull_request_of_its_own_and_mariadb_s_by_hand():
    updates = yaml.safe_load((GENERATED / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    for each in updates:
        assert all(group["update-types"] == ["minor", "patch"] for group in each["groups"].values())
    (images,) = (each for each in updates if each["package-ecosystem"] == "docker-compose")
    kinds = {each["dependency-name"]: each["update-types"] for each in images["ignore"]}
    assert "version-update:semver-major" in kinds["mariadb"]


@pytest.mark.parametrize("folder", [ROOT / ".github", GENERATED / ".github"], ids=named)
def test_zizmor_finds_nothing(folder):
    zizmor = Path(sys.executable).parent / "zizmor"
    assert complaints(zizmor, "--offline", "--no-progress", "--quiet", folder) == ""


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_every_action_is_pinned_by_a_commit_and_names_its_version(file):
    text = file.read_text(encoding="utf-8")
    found = list(USES.finditer(text))
    # A workflow that only calls another needs none.
    assert found or "steps:" not in text
    for each in found:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each["uses"])
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", each["comment"])


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_every_step_is_a_make_target_that_exists(file):
    makefiles = [file.parents[2] / "Makefile", *file.parents[2].glob("platform/make/*.mk")]
    makefile = "".join(each.read_text(encoding="utf-8") for each in makefiles)
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for script in runs(file):
        words = re.fullmatch(r"(?:sudo )?make ([a-z -]+?)(?: [A-Z]+=\S+)*", script)
        assert words, f"{script!r} is more than a make target"
        assert set(words[1].split()) <= targets
