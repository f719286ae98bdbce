"""The pack on Compose files of other projects, and on any shape of YAML: it judges and never falls."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import WHOLE

from policies.gate.check import Options, check
from policies.gate.loading import load
from policies.gate.run import Report, run_rules
from policies.shared.repository import Repository

LOADED = load()
ELSEWHERE = Path(__file__).parent / "elsewhere"
PROJECTS = sorted(path for path in ELSEWHERE.iterdir() if path.is_dir())
COMPOSE = [rule for rule in LOADED.values() if rule.family == "compose"]
OTHERS = [rule for rule in LOADED.values() if rule.family in ("dockerfile", "repository")]


def judged(repository, rules):
    """Return the report of some rules."""
    report = Report()
    run_rules(repository, rules, report)
    return report


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: path.name)
def test_no_rule_falls_on_another_project(folder):
    report = judged(Repository(folder), LOADED.values())
    assert [problem.what for problem in report.problems] == []


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: path.name)
def test_every_finding_names_a_line_that_exists(folder):
    for finding in judged(Repository(folder), COMPOSE).findings:
        lines = (folder / finding.place.file).read_text(encoding="utf-8").splitlines()
        assert 1 <= finding.place.line <= len(lines), finding


@pytest.mark.parametrize(
    ("project", "rule", "place"),
    [
        ("blog", "MAIL_CMP_001", "docker-compose.yml:5"),
        ("blog", "MAIL_CMP_017", "docker-compose.yml:11"),
        ("blog", "MAIL_CMP_017", "docker-compose.yml:21"),
        ("media", "MAIL_CMP_008", "docker-compose.yaml:14"),
        ("media", "MAIL_CMP_010", "docker-compose.yaml:16"),
        ("microservices", "MAIL_CMP_009", "compose.yaml:28"),
        ("microservices", "MAIL_CMP_001", "infra/queue.yaml:3"),
        ("microservices", "MAIL_DKR_001", "api/Dockerfile:5"),
        ("swarm", "MAIL_CMP_004", "stack.yml:13"),
        ("home", "MAIL_CMP_007", "docker-compose.yml:5"),
        ("many", "MAIL_CMP_007", "docker-compose.yml:6"),
        ("monitoring", "MAIL_CMP_009", "docker-compose.yml:26"),
        ("monitoring", "MAIL_CMP_021", "docker-compose.yml:26"),
        ("monitoring", "MAIL_CMP_006", "docker-compose.yml:42"),
        ("modern", "MAIL_CMP_001", "base/two.yaml:3"),
        ("modern", "MAIL_DKR_001", "app/Dockerfile:1"),
        ("modern", "MAIL_DKR_004", "app/Dockerfile:6"),
        ("laboratory", "MAIL_CMP_021", "docker-compose.yml:27"),
        ("laboratory", "MAIL_DKR_004", "docker/notebook.dockerfile:4"),
        ("laboratory", "MAIL_DKR_006", "docker/notebook.dockerfile:7"),
    ],
)
def test_what_is_wrong_there_is_found(project, rule, place):
    found = LOADED[rule].findings(Repository(ELSEWHERE / project))
    assert place in {str(each.place) for each in found}


NAMES = """
    image build user ports volumes networks environment healthcheck deploy logging cap_add cap_drop
    command entrypoint security_opt privileged read_only restart init depends_on secrets configs
    devices tmpfs labels env_file extends network_mode stop_grace_period stop_signal pid mem_limit
    cpus pids_limit group_add source target type test interval retries context args dockerfile
    limits resources memory options driver condition published host_ip
"""
KEYS = st.sampled_from(NAMES.split())
ODD = [
    "0:0", "80:80", "${A:-${B}}", "${", "$$", "a@sha256:x", "/:/", "1e400", "-1", "10m", "[::1]:1:2",
    "!!x", ".",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.sampled_from(ODD)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
SERVICES = st.dictionaries(KEYS, VALUES, max_size=8)
FILES = st.fixed_dictionaries(
    {
        "services": VALUES
        | st.dictionaries(st.sampled_from(["postfix", "nginx", "a"]), SERVICES | VALUES, max_size=3)
    },
    optional={name: VALUES for name in ("networks", "volumes", "secrets", "configs", "include", "name")},
)


@settings(
    max_examples=150 if WHOLE else 50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=FILES | VALUES, override=FILES)
def test_no_compose_rule_falls_on_any_shape(tmp_path, document, override):
    texts = {
        "docker-compose.yml": json.dumps(document),
        "compose.local.yml": json.dumps(override),
        ".env.example": "A=\n",
    }
    report = judged(Repository(tmp_path, texts), [*COMPOSE, *OTHERS])
    assert [problem.what for problem in report.problems] == []


LINES = st.sampled_from([
    "FROM", "FROM a AS b", "FROM b", "FROM ${X}@", "USER", "USER ${U:-", "ARG", "ARG A=1 B", "ENV A",
    'ENV A="', "ENV =", "RUN", "RUN <<E", "E", "RUN [", 'RUN ["a", 1]', "COPY", "COPY --from= a",
    "ADD", "ADD [", "HEALTHCHECK", "ONBUILD", "ONBUILD USER", "HEALTHCHECK CMD", "\\", "#",
    "# syntax=x", "CMD \\", "pip install x", "LABEL a b=c",
])  # fmt: skip


@settings(
    max_examples=150 if WHOLE else 50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(LINES | st.text(max_size=20), max_size=10))
def test_no_dockerfile_rule_falls_on_any_lines(tmp_path, lines):
    report = judged(Repository(tmp_path, {"Dockerfile": "\n".join(lines)}), OTHERS)
    assert [problem.what for problem in report.problems] == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("install.sh", "#!/bin/sh\n# shellcheck disable=SC2086\necho $1\n"),
        ("Dockerfile", "# hadolint ignore=DL3006\nFROM scratch\n"),
        (".github/workflows/ci.yml", "on: push\njobs: {} # zizmor: ignore[template-injection]\n"),
        ("main.tf", "# tfsec:ignore:aws-s3-enable-versioning\n"),
    ],
    ids=["script", "Dockerfile", "workflow", "Terraform"],
)
def test_what_was_not_asked_for_is_not_judged(tmp_path, file, text):
    (tmp_path / "compose.yaml").write_text("services:\n  web:\n    image: web\n")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    report = check(tmp_path, Options(families=("compose",))).report
    assert report.exit_code == 1 and report.problems == []
    assert {finding.place.file for finding in report.findings} == {"compose.yaml"}
    assert not {"SHELLCHECK", "ZIZMOR", "SYNTAX_TERRAFORM"} & set(report.ran)
