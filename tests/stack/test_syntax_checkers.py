"""The gate asks each service's own checker, in that service's image, and shows the line that it names."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter

from tests.stack.conftest import COMPOSE_FILES, TEMPLATE
from tests.stack.stack import run
from tools import standins

pytestmark = pytest.mark.docker
GATE = TEMPLATE / ".venv-policies"
SERVICES = ("postfix", "dovecot", "rspamd", "nginx", "clamav", "unbound", "roundcube")
RULES = {
    "postfix": "SYNTAX_POSTFIX",
    "dovecot": "SYNTAX_DOVECOT",
    "rspamd": "SYNTAX_RSPAMD",
    "nginx": "SYNTAX_NGINX",
    "clamav": "SYNTAX_CLAMAV",
    "unbound": "SYNTAX_UNBOUND",
    "roundcube": "SYNTAX_PHP",
}
# Service, file, the line that breaks it, a word of its checker's complaint: one of each service, then others.
BROKEN = (
    (
        ("postfix", "config/postfix/main.cf", "smtpd_tls_levle = may", "smtpd_tls_levle"),
        ("dovecot", "config/dovecot/dovecot.conf", "no_such_setting = 1", "no_such_setting"),
        ("rspamd", "config/rspamd/local.d/actions.conf", "broken {", "actions.conf"),
        ("nginx", "config/nginx/mailserver.conf", "no_such_directive;", "no_such_directive"),
        ("clamav", "config/clamav/clamd.conf", "NoSuchOption yes", "NoSuchOption"),
        ("unbound", "config/unbound/unbound.conf", "no-such-option: yes", "no-such-option"),
        ("roundcube", "config/roundcube/mailserver.php", "if (", "("),
    ),
    (
        (
            "nginx",
            "config/nginx/mailserver.conf",
            "server {\n  listen 80;\n  server_name localhost;\n}",
            "conflicting server name",
        ),
        ("roundcube", "config/roundcube/php.ini", "broken = (1", "syntax error"),
    ),
)


@pytest.fixture(scope="module")
def repository(images, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A generated repository, and the image of each service with a checker."""
    run("make", "--silent", ".venv-policies/.done", cwd=TEMPLATE)
    answers = {"project_slug": "gate-syntax"}
    folder = str(tmp_path_factory.mktemp("gate"))
    root = Path(cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=folder))
    files, chosen = ["docker-compose.yml"], {}
    if images.standins:
        override = standins.override(root, COMPOSE_FILES)
        files.append(str(override))
        services = yaml.safe_load(override.read_text(encoding="utf-8"))["services"]
        chosen = {name: each["image"] for name, each in services.items() if "image" in each}
    given = [part for file in files for part in ("--file", file)]
    built = ("build", "--quiet", "postfix", "unbound")
    run("docker", "compose", *given, "--env-file", ".env.example", *built, cwd=root)
    return root, {name: image for name, image in chosen.items() if name in SERVICES}


def gate(root: Path, images: dict[str, str], *rules: str) -> tuple[int, dict]:
    """Run `make check` for some rules; every checker must be at hand."""
    words = ["--json", "--require-tools", "--only", ",".join(rules)]
    words += [word for name, image in images.items() for word in ("--image", f"{name}={image}")]
    command = ["make", "--silent", "-C", str(root), "check", f"GATE={GATE}", f"CHECK={' '.join(words)}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    report = json.loads(done.stdout)
    return report["exit_code"], report


def test_every_checker_takes_the_generated_configuration(repository):
    code, report = gate(*repository, *RULES.values())
    assert (code, report["findings"], report["problems"], report["notes"]) == (0, [], [], [])
    assert set(report["ran"]) == set(RULES.values())


@pytest.mark.parametrize("lines", BROKEN, ids=["one of each service", "names and settings"])
def test_a_broken_line_is_found_by_its_service_s_own_checker_and_by_no_other(repository, lines):
    root, images = repository
    before = {file: (root / file).read_text(encoding="utf-8") for _, file, _, _ in lines}
    try:
        for _, file, line, _ in lines:
            (root / file).write_text(f"{before[file]}{line}\n", encoding="utf-8")
        code, report = gate(root, images, *RULES.values())
    finally:
        for file, text in before.items():
            (root / file).write_text(text, encoding="utf-8")
    assert code == 1, report
    found = report["findings"]
    assert {each["rule"] for each in found} == {RULES[service] for service, _, _, _ in lines}
    for service, _, _, word in lines:
        own = [each for each in found if each["rule"] == RULES[service]]
        assert any(word in each["is"] for each in own), f"{service}: {own}"
        assert all(each["file"].startswith(f"config/{service}/") for each in own), own


def test_an_image_without_the_program_is_a_problem_not_a_pass(repository):
    root, images = repository
    code, report = gate(root, {**images, "nginx": "gate-syntax-postfix"}, "SYNTAX_NGINX")
    assert (code, report["findings"]) == (2, [])
    assert [each["kind"] for each in report["problems"]] == ["tool-failed"]
    assert "lacks the program" in str(report["problems"][0])
