"""Every `run` step of the generated workflow, in the order of its job, in a fresh clone as on GitHub.

What the actions of a job would set up is put on PATH: a gh that answers, Terraform's real core (the equipment
of tests/terraform), and where no registry answers a docker that takes stand-ins for the images.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter

from tests.workflows.runner import TEMPLATE, git, inherited, jobs, put, scripts, step
from tools import engine, standins

JOBS = jobs(TEMPLATE / "{{cookiecutter.project_slug}}")
#: What stands in for GitHub's expressions.
VALUES = {"${{ github.token }}": "a-token", "${{ github.event.pull_request.number }}": "7"}
#: Answers that there is no comment yet, and notes what it was asked.
GH = '#!/bin/sh\necho "$GH_TOKEN $*" >>"$GH_LOG"\n'
#: Puts stand-ins in the place of images that were asked for by their own names.
DOCKER = """\
#!{python}
import os, sys
names = {names}
os.execv({docker!r}, ["docker", *(names.get(word, word) for word in sys.argv[1:])])
"""
TERRAFORM = """\
#!/bin/sh
export TF_CLI_CONFIG_FILE={folder}/terraform.rc CHECKPOINT_DISABLE=1 AWS_REGION=ap-northeast-1
exec {folder}/bin/terraform "$@"
"""
CHECKERS = ("COMPOSE", "POSTFIX", "DOVECOT", "RSPAMD", "NGINX", "CLAMAV", "PHP", "TERRAFORM")
#: Left by `terraform init`; whoever runs it on a laptop is meant to commit them.
LOCK_FILES = {f"?? terraform/{module}/.terraform.lock.hcl" for module in ("s3-backup", "state-bootstrap")}


@pytest.fixture
def clone(tmp_path) -> Path:
    """A generated repository as somebody would have pushed it."""
    made = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(tmp_path / "made")))
    git(made, "init", "--quiet", "--initial-branch", "main")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "first")
    git(tmp_path, "clone", "--quiet", str(made), "clone")
    return tmp_path / "clone"


@pytest.fixture(scope="module")
def terraform(tmp_path_factory) -> str:
    """A program that runs Terraform's core with a provider that needs no registry."""
    folder = tmp_path_factory.mktemp("terraform")
    subprocess.run(["make", "--silent", ".venv-terraform/.done"], cwd=TEMPLATE, check=True)
    install = "import sys; from pathlib import Path; from equipment.installation import install"
    subprocess.run(
        [TEMPLATE / ".venv-terraform/bin/python", "-c", f"{install}; install(Path(sys.argv[1]))", folder],
        cwd=TEMPLATE / "tests" / "terraform",
        check=True,
    )
    return TERRAFORM.format(folder=folder)


@pytest.fixture
def base_images(clone) -> dict[str, str]:
    """Where no registry answers, the stand-ins take the place of the base images."""
    engine.ensure()
    files = ("docker-compose.yml",)
    choice = standins.choose(files=files)
    if not choice.standins:
        return {}
    with standins.shown_progress() as progress:
        standins.build(progress)
    return {"COMPOSE_FILE": os.pathsep.join([*files, str(standins.override(clone, files))])}


@pytest.fixture
def environment(clone, tmp_path, terraform, base_images) -> dict[str, str]:
    """What a runner has: gh and terraform on its path, and a Docker that can reach the images."""
    shims = tmp_path / "bin"
    put(shims, "gh", GH)
    put(shims, "terraform", terraform)
    put(shims, "python3", f'#!/bin/sh\nexec {python()} "$@"\n')
    if base_images:
        names, docker = images(clone, base_images), shutil.which("docker")
        put(shims, "docker", DOCKER.format(python=sys.executable, names=names, docker=docker))
    path = os.pathsep.join([str(shims), os.environ["PATH"]])
    return {**inherited(), **base_images, "PATH": path, "GH_LOG": str(tmp_path / "gh.log")}


def python() -> str:
    """Return the Python that the jobs set up, or this one where the machine has no such Python with venv."""
    (version,) = {
        each["with"]["python-version"]
        for job in JOBS.values()
        for each in job["steps"]
        if "python-version" in each.get("with", {})
    }
    found = shutil.which(f"python{version}") or sys.executable
    usable = subprocess.run([found, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    return sys.executable if usable.returncode else found


def images(clone: Path, base_images: dict[str, str]) -> dict[str, str]:
    """Return the stand-in of each image that the Compose file names."""
    files = [clone / "docker-compose.yml", Path(base_images["COMPOSE_FILE"].split(os.pathsep)[1])]
    ours, theirs = (yaml.safe_load(file.read_text(encoding="utf-8"))["services"] for file in files)
    return {ours[name]["image"]: each["image"] for name, each in theirs.items() if "image" in each}


def run_in_order(job: str, clone: Path, environment: dict[str, str]) -> str:
    """Run each step of a job and return what they said; nothing that git would take is left."""
    said = [step(script, clone, {**environment, **given}) for script, given in scripts(JOBS[job], VALUES)]
    left = git(clone, "status", "--porcelain").splitlines()
    assert set(left) <= LOCK_FILES, "a step leaves files that git would take"
    return "".join(said)


@pytest.mark.parametrize("job", sorted(JOBS.keys() - {"gate"}))
def test_the_steps_of_a_job_pass_in_order_and_leave_nothing_out_or_behind(job, clone, environment):
    assert "are left out" not in run_in_order(job, clone, environment)


def test_in_the_gate_s_job_every_checker_runs_and_its_report_is_uploaded_and_told(clone, environment):
    run_in_order("gate", clone, environment)
    uploads = [
        given["sarif_file"]
        for each in JOBS["gate"]["steps"]
        if "sarif_file" in (given := each.get("with", {}))
    ]
    report = json.loads((clone / uploads[0]).read_text(encoding="utf-8"))["runs"][0]
    ran = {rule["id"] for rule in report["tool"]["driver"]["rules"]}
    assert {f"SYNTAX_{each}" for each in CHECKERS} | {"SHELLCHECK", "ZIZMOR"} <= ran
    asked = Path(environment["GH_LOG"]).read_text(encoding="utf-8")
    assert "--method POST repos/{owner}/{repo}/issues/7/comments -F body=@reports/gate.md" in asked
    assert all(line.startswith("a-token api ") for line in asked.splitlines() if "gate.md" in line)
