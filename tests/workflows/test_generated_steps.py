"""Every `run` step of the generated workflows, in the order of its job, in a fresh clone as on GitHub.

What the actions of a job would set up is put on PATH: a gh that answers, Terraform's real core (the equipment
of tests/terraform), a trivy that notes what it was asked, and where no registry answers a docker that takes
stand-ins for the images. The steps of terraform.yml run in tests/terraform/test_workflow.py, where an AWS is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter

from tests.stack.documents import blocks
from tests.workflows import registry
from tests.workflows.runner import TEMPLATE, git, inherited, jobs, put, scripts, step
from tools import engine, standins

GENERATED = TEMPLATE / "{{cookiecutter.project_slug}}"
JOBS = jobs(GENERATED)
MONTHLY = jobs(GENERATED, "monthly")
#: Those that need more than a checkout, each with a test of its own.
SPECIAL = {"gate", "stack", "edge"}
#: What stands in for GitHub's expressions and for the settings of the repository.
VALUES = {
    "${{ github.token }}": "a-token",
    "${{ github.event.pull_request.number }}": "7",
    "${{ secrets.PULL_REQUEST_TOKEN || github.token }}": "a-token",
    "${{ secrets.DEPLOY_SSH_KEY }}": "a key",
    "${{ vars.DEPLOY_HOST }}": "root@host.example",
    "${{ vars.DEPLOY_KNOWN_HOSTS }}": "host.example ssh-ed25519 AAAA",
}
#: Answers that there is no comment and no pull request yet, and notes what it was asked.
GH = '#!/bin/sh\necho "$GH_TOKEN $*" >>"$GH_LOG"\n'
#: Notes what it was asked, and finds nothing.
QUIET = '#!/bin/sh\necho "$*" >>"{log}"\n'
#: Puts stand-ins in the place of images that were asked for by their own names.
DOCKER = """\
#!{python}
import os, sys
names, registry = {names}, ("--pull", "--no-cache")
words = [names.get(word, word) for word in sys.argv[1:] if word not in registry]
os.execv({docker!r}, ["docker", *words])
"""
TERRAFORM = """\
#!/bin/sh
export TF_CLI_CONFIG_FILE={folder}/terraform.rc CHECKPOINT_DISABLE=1 AWS_REGION=ap-northeast-1
exec {folder}/bin/terraform "$@"
"""
CHECKERS = ("COMPOSE", "POSTFIX", "DOVECOT", "RSPAMD", "NGINX", "CLAMAV", "PHP", "TERRAFORM")
#: The trial of the tests has a name and ports of its own: others may be running.
PROJECT = "Workflow steps"
FIRST_PORT = int(os.environ.get("STACK_FIRST_PORT", "21000")) + 520
PORTS = ("WEB", "SINK", "IMAPS", "SUBMISSION", "SUBMISSIONS", "API")
#: Left by `terraform init`; whoever runs it on a laptop is meant to commit them.
LOCK_FILES = {f"?? terraform/{module}/.terraform.lock.hcl" for module in ("s3-backup", "state-bootstrap")}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A generated repository as somebody would have pushed it; jobs share its environments."""
    folder = tmp_path_factory.mktemp("generated")
    given = {"project_name": PROJECT}
    made = Path(
        cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder / "made"), extra_context=given)
    )
    git(made, "init", "--quiet", "--initial-branch", "main")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "first")
    git(folder, "clone", "--quiet", "--bare", str(made), "origin.git")
    git(folder, "clone", "--quiet", str(folder / "origin.git"), "clone")
    return folder / "clone"


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


@pytest.fixture(scope="module")
def base_images(clone) -> dict[str, str]:
    """Where no registry answers, the stand-ins take the place of the base images."""
    engine.ensure()
    files = ("docker-compose.yml",)
    choice = standins.choose(files=files)
    if not choice.standins:
        return {}
    with standins.shown_progress() as progress:
        standins.build(progress)
    trial = standins.override(clone, ("docker-compose.yml", "compose.local.yml"))
    return {
        "COMPOSE_FILE": os.pathsep.join([*files, str(standins.override(clone, files))]),
        "MAILCTL_LOCAL_OVERRIDES": str(trial),
    }


@pytest.fixture
def environment(clone, tmp_path, terraform, base_images) -> dict[str, str]:
    """What a runner has: gh and terraform on its path, and a Docker that can reach the images."""
    shims = tmp_path / "bin"
    put(shims, "gh", GH)
    put(shims, "terraform", terraform)
    put(shims, "python3", f'#!/bin/sh\nexec {python()} "$@"\n')
    for name in ("trivy", "ssh"):
        put(shims, name, QUIET.format(log=tmp_path / f"{name}.log"))
    if base_images:
        names, docker = images(clone, base_images), shutil.which("docker")
        put(shims, "docker", DOCKER.format(python=sys.executable, names=names, docker=docker))
    path = os.pathsep.join([str(shims), os.environ["PATH"]])
    ports = {f"LOCAL_{name}_PORT": str(FIRST_PORT + number) for number, name in enumerate(PORTS)}
    # The gate's environment of this checkout is the one that the clone would build.
    gate = str(TEMPLATE / ".venv-gate")
    step("make --silent .venv-gate/.done", TEMPLATE, inherited())
    own = {
        "PATH": path,
        "GH_LOG": str(tmp_path / "gh.log"),
        "GATE": gate,
        "MAILS": "5",
    }
    return {**inherited(), **base_images, **ports, **own}


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


def run_in_order(job: dict, clone: Path, environment: dict[str, str], **values: str) -> str:
    """Run each step of a job and return what they said; nothing that git would take is left."""
    known = VALUES | values
    said = [step(script, clone, {**environment, **given}) for script, given in scripts(job, known)]
    left = git(clone, "status", "--porcelain").splitlines()
    assert set(left) <= LOCK_FILES, "a step leaves files that git would take"
    return "".join(said)


@pytest.mark.parametrize("name", sorted(JOBS.keys() - SPECIAL))
def test_the_steps_of_a_job_pass_in_order_and_leave_nothing_out_or_behind(name, clone, environment):
    assert "are left out" not in run_in_order(JOBS[name], clone, environment)


def test_in_the_gate_s_job_every_checker_runs_and_its_report_is_uploaded_and_told(clone, environment):
    run_in_order(JOBS["gate"], clone, environment)
    uploads = [
        given["sarif_file"]
        for each in JOBS["gate"]["steps"]
        if "sarif_file" in (given := each.get("with", {}))
    ]
    report = json.loads((clone / uploads[0]).read_text(encoding="utf-8"))["runs"][0]
    ran = {rule["id"] for rule in report["tool"]["driver"]["rules"]}
    assert {f"SYNTAX_{each}" for each in CHECKERS} | {"SHELLCHECK", "ZIZMOR"} <= ran
    assert commented(environment) == ["gate.md"]


def commented(environment: dict[str, str]) -> list[str]:
    """Return the reports that were posted as comments of pull request 7, each with the job's token."""
    asked = Path(environment["GH_LOG"]).read_text(encoding="utf-8")
    call = "a-token api --silent --method POST repos/{owner}/{repo}/issues/7/comments -F body=@reports/"
    return re.findall(rf"^{re.escape(call)}(.*)$", asked, re.MULTILINE)


def test_the_edge_s_plan_is_told_in_the_pull_request_by_a_token_that_only_reads(clone, environment):
    tests = TEMPLATE / "tests" / "mailctl"
    environment = environment | {"PYTHONPATH": str(tests), "COLUMNS": "200"}
    step("make --silent .venv/.mailctl", clone, environment)
    server = [str(clone / ".venv/bin/python"), "-m", "fake_cloudflare"]
    with subprocess.Popen(server, env=environment, stdout=subprocess.PIPE, text=True) as fake:
        said = dict(word.split("=", 1) for word in (fake.stdout or []).readline().split()[1:])
        token = {"${{ secrets.CLOUDFLARE_READ_TOKEN }}": said["CLOUDFLARE_API_TOKEN"]}
        account = {"CLOUDFLARE_BASE_URL": said["CLOUDFLARE_BASE_URL"]}
        try:
            run_in_order(JOBS["edge"], clone, environment | account, **token)
        finally:
            fake.terminate()
    report = (clone / "reports" / "edge.md").read_text(encoding="utf-8")
    assert report.startswith("<!-- edge -->\n### Edge: what make edge-apply would change")
    assert "mail-api.example.com" in report and token.popitem()[1] not in report
    assert commented(environment) == ["edge.md"]


def test_the_stack_boots_mail_goes_through_it_and_the_base_s_is_upgraded(clone, environment):
    base = git(clone, "rev-parse", "HEAD").strip()
    valkey = clone / "config" / "valkey" / "valkey.conf"
    valkey.write_text(valkey.read_text(encoding="utf-8") + "# changed by a pull request\n", encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "a pull request")
    said = run_in_order(
        JOBS["stack"], clone, environment, **{"${{ github.event.pull_request.base.sha }}": base}
    )
    assert said.count("posted, delivered, read over IMAP, removed") == 3
    assert "virus" in said and "5 mails are still there" in said
    assert said.index("5 mails stay in") < said.index("== after") < said.index("5 mails are still there")


@pytest.fixture
def upstream(clone) -> Iterator[registry.Registry]:
    """Every image comes from a registry of this machine, where the tags mean something new."""
    with registry.Registry() as server:
        for file in clone.glob("*.yml"):
            text = file.read_text(encoding="utf-8")
            pin = r"(image: )([\w./-]+:[\w.-]+@sha256:)"
            file.write_text(re.sub(pin, rf"\g<1>{server.address}/\2", text), encoding="utf-8")
        git(clone, "commit", "--quiet", "--all", "--message", "a registry of our own")
        yield server
        git(clone, "checkout", "--quiet", "main")
        git(clone, "reset", "--quiet", "--hard", "HEAD~1")


def test_new_digests_and_providers_become_a_pull_request(clone, environment, upstream, terraform):
    mirror = re.search(r"CONFIG_FILE=(\S+)/terraform.rc", terraform)[1] + "/mirror"
    fake = {"LOCK_FROM": f"-fs-mirror={mirror}", "PLATFORMS": "linux_amd64"}
    run_in_order(MONTHLY["pins"], clone, environment | fake)
    changed = git(clone, "diff", "--stat", "main", "origin/monthly", "--")
    for name in ("docker-compose.yml", "compose.local.yml", ".terraform.lock.hcl"):
        assert name in changed
    compose = git(clone, "show", "origin/monthly:docker-compose.yml")
    assert f"mariadb:11.8.9@{registry.digest('mariadb')}" in compose
    asked = Path(environment["GH_LOG"]).read_text(encoding="utf-8")
    assert "pr create --head monthly --title New digests of images and providers" in asked


def test_images_and_packages_are_looked_through_for_known_holes(clone, environment, tmp_path):
    auditor = tmp_path / "auditor"
    auditor.mkdir()
    put(auditor / "bin", "pip-audit", QUIET.format(log=tmp_path / "audit.log"))
    (auditor / ".done").touch()
    run_in_order(MONTHLY["holes"], clone, environment | {"AUDITOR": str(auditor)})
    scanned = (tmp_path / "trivy.log").read_text(encoding="utf-8").splitlines()
    services = yaml.safe_load((clone / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert len(scanned) >= len({each.get("image", name) for name, each in services.items()}) - 1
    audited = (tmp_path / "audit.log").read_text(encoding="utf-8")
    assert audited.count("--requirement") == 4 and "mailctl/requirements.txt" in audited


def test_the_host_is_asked_over_ssh_with_its_known_key(clone, environment, tmp_path):
    run_in_order(MONTHLY["host"], clone, environment)
    asked = (tmp_path / "ssh.log").read_text(encoding="utf-8")
    assert "StrictHostKeyChecking=yes" in asked
    assert asked.endswith("-- root@host.example report\n")


def test_the_commands_of_the_monthly_page_are_the_workflow_s(clone, environment):
    page = (GENERATED / "_docs/en/docs/runbooks/monthly.md").read_text(encoding="utf-8")
    commands = {line for block in blocks(page) for line in block.splitlines()}
    steps = {script for job in MONTHLY.values() for script, _ in scripts(job, VALUES)}
    by_hand = {"git diff --stat", "make host-report", "make images ARGS='--pull --no-cache'"}
    assert commands - steps == by_hand
    with pytest.raises(AssertionError) as failure:
        step("make host-report", clone, environment)
    said = str(failure.value)
    assert all(f"== {part}" in said for part in ("status", "secrets status", "edge check"))


def test_the_ruleset_is_imported_and_asks_for_the_jobs_that_there_are(clone, environment):
    page = (GENERATED / "_docs/en/docs/protected-branch.md").read_text(encoding="utf-8")
    for block in blocks(page):
        step(block, clone, environment)
    asked = Path(environment["GH_LOG"]).read_text(encoding="utf-8")
    assert "--method POST repos/{owner}/{repo}/rulesets --input .github/ruleset.json" in asked
    rules = json.loads((clone / ".github" / "ruleset.json").read_text(encoding="utf-8"))["rules"]
    (checks,) = [each["parameters"] for each in rules if each["type"] == "required_status_checks"]
    wanted = {each["context"] for each in checks["required_status_checks"]}
    assert wanted == {job["name"] for name, job in JOBS.items() if name != "edge"}
