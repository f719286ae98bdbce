"""No rule and no report trips over a shape it did not expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import WHOLE

from policies.gate.check import Result
from policies.gate.formats import as_json, junit, markdown, sarif
from policies.gate.info import OTHERS, of_rule
from policies.gate.loading import load
from policies.gate.run import Report, run_rules
from policies.gate.schemas import errors
from policies.model import Place
from policies.shared.repository import Repository

LOADED = load()
NAMES = """
    services networks volumes secrets configs include name x-a a image build context dockerfile
    command entrypoint user environment env_file ports healthcheck test interval deploy resources
    limits memory cpus pids logging options driver restart depends_on condition cap_add cap_drop
    security_opt privileged read_only tmpfs extends service file devices labels init
    stop_grace_period jobs steps run uses on permissions with env runs-on target source type host_ip
    published internal driver_opts external mariadb postfix db_data edge args pull_request push
    concurrency runs needs
"""
KEYS = NAMES.split()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(
        [
            "${A:-b}",
            "${",
            "$$",
            "1g",
            "30s",
            "root",
            "0.0.0.0:1:1",
            "/:/x",
            "host",
            "*",
            "@",
            "a=b",
            "service_healthy",
        ]
    ),
)
SHAPES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), inner, max_size=5),
    ),
    max_leaves=25,
)
SERVICES = st.fixed_dictionaries(
    {"services": st.dictionaries(st.sampled_from(["postfix", "mariadb", "a"]), SHAPES, max_size=3)}
)
PLACES = [
    "docker-compose.yml",
    "compose.more.yml",
    ".github/workflows/a.yml",
    ".github/actions/x/action.yml",
    "policy.yml",
]
CALM = settings(
    max_examples=120 if WHOLE else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Each reads a whole repository.
HEAVY = settings(CALM, max_examples=30 if WHOLE else 10)


def judged(root: Path, changes: dict[str, str]) -> Report:
    repository = Repository(root, changes)
    report = Report()
    run_rules(repository, LOADED.values(), report)
    report.problems += repository.problems
    return report


def raised(report: Report) -> list[str]:
    return [problem.what for problem in report.problems if problem.kind == "policy-raised"]


@CALM
@given(body=st.one_of(SHAPES, SERVICES), file=st.sampled_from(PLACES))
def test_no_rule_raises_on_any_yaml(tmp_path, body, file):
    text = yaml.safe_dump(body, allow_unicode=True)
    assert raised(judged(tmp_path, {file: text})) == []


@CALM
@given(
    text=st.text(),
    file=st.sampled_from([*PLACES, "Dockerfile", "main.tf", "x.tfvars", ".gitignore", ".env.example"]),
)
def test_no_rule_raises_on_any_text(tmp_path, text, file):
    assert raised(judged(tmp_path, {file: text})) == []


CONFIGURATION = sorted(
    path
    for path in [
        "config/postfix/main.cf",
        "config/postfix/master.cf",
        "config/dovecot/dovecot.conf",
        "config/nginx/mailserver.conf",
        "config/rspamd/local.d/antivirus.conf",
        "config/rspamd/override.d/worker-controller.inc",
        "config/clamav/clamd.conf",
        "config/valkey/valkey.conf",
        "config/mariadb/mailserver.cnf",
        "config/roundcube/mailserver.php",
        "Makefile",
        "a.sh",
    ]
)


@HEAVY
@given(data=st.data(), file=st.sampled_from(CONFIGURATION))
def test_no_rule_raises_on_a_damaged_file(generate, data, file):
    root = generate({"client_access": "lan"})
    text = (root / file).read_text() if (root / file).is_file() else "#!/bin/sh\ndocker compose down -v\n"
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    damaged = (
        text[:start]
        + data.draw(st.sampled_from(["", "{", "}", '"', "'", "=", "\\\n", "\0", "\u2028"]))
        + text[end:]
    )
    assert raised(judged(root, {file: damaged})) == []


@HEAVY
@given(
    data=st.data(),
    file=st.sampled_from(
        ["terraform/s3-backup/main.tf", "terraform/s3-backup/uploader.tf", "platform/usermgmt/Dockerfile"]
    ),
)
def test_no_rule_raises_on_a_damaged_module(generate, data, file):
    root = generate()
    text = (root / file).read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    damaged = (
        text[:start]
        + data.draw(st.sampled_from(["", "{", "}", '"', "${", "<<EOT\n", "[", "...", "\0"]))
        + text[end:]
    )
    assert raised(judged(root, {file: damaged})) == []


@CALM
@given(body=SHAPES, name=st.sampled_from(["compose", "policy", "environment", "answers"]))
def test_every_schema_error_is_a_sentence(body, name):
    for place, what, should, *_ in errors(name, json.loads(json.dumps(body)), Place("x")):
        assert what and isinstance(should, str) and place.line >= 1


@CALM
@given(body=SERVICES)
def test_every_report_can_be_written(tmp_path, body):
    report = judged(tmp_path, {"docker-compose.yml": yaml.safe_dump(body, allow_unicode=True)})
    report.sort()
    result = Result(report, {rule.rule_id: of_rule(rule) for rule in LOADED.values()} | OTHERS)
    assert json.loads(as_json(result))["exit_code"] == report.exit_code
    assert json.loads(sarif(result)) and junit(result).startswith("<?xml") and markdown(result)


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "? [1]\n: 2\n", "<<: 1\n", "\t", "!!python/object:os.x {}\n"]
)
def test_yaml_with_a_trap_is_a_problem_and_no_crash(tmp_path, text):
    report = judged(tmp_path, {"docker-compose.yml": text})
    assert raised(report) == [] and report.problems


def test_a_billion_laughs_end(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    report = judged(tmp_path, {"docker-compose.yml": "\n".join(lines) + "\n"})
    assert any("too large" in problem.what for problem in report.problems)
