"""The schemas describe every property, and their errors say where, what is wrong and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from conftest import TEMPLATE

from policies.gate import schemas
from policies.gate.check import Options, check
from policies.gate.cli import main
from policies.model import Place
from policies.shared import located

FILES = sorted((TEMPLATE / "schemas").glob("*.schema.json"))


def properties(schema: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """Yield every property of a schema, however deep."""
    if isinstance(schema, dict):
        for name, inner in (schema.get("properties") or {}).items():
            yield f"{path}.{name}", inner
        for key, value in schema.items():
            yield from properties(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from properties(value, f"{path}[{number}]")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_schema_is_a_2020_12_schema_and_describes_every_property(file):
    schema = json.loads(file.read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema" and schema["description"]
    jsonschema.Draft202012Validator.check_schema(schema)
    defined = schema.get("$defs", {})
    silent = [
        path
        for path, inner in properties(schema)
        if not (
            inner.get("description")
            or defined.get(inner.get("$ref", "").rpartition("/")[2], {}).get("description")
        )
    ]
    assert silent == []


def said(root: Path, rule: str) -> list[tuple[str, str, str]]:
    report = check(root, Options(only=(rule,))).report
    return [(str(found.place), found.what, found.should) for found in report.findings]


def change(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "what", "should"),
    [
        ("    read_only: true", None, None, None),
        ("  nginx:\n    <<: *service\n", "  nginx:\n    <<: *service\n    restrat: always\n",
         "services.nginx: restrat is no key here", "did you mean restart?"),
        ("interval: 30s", "interval: 30 seconds",
         'services.mariadb.healthcheck.interval is "30 seconds"', "a duration such as 30s or 1m30s"),
        ("memory: 1G", "memory: lots",
         'services.mariadb.deploy.resources.limits.memory is "lots"', "a size such as 512M or 2G"),
        ("condition: service_healthy", "condition: service_heathy",
         'services.dovecot.depends_on.mariadb.condition is "service_heathy"', "mean service_healthy?"),
        ("restart: unless-stopped", "restart: some", 'services.mariadb.restart is "some"', "one of no"),
        ("  data: {internal: true}", "  data: {internl: true}",
         "networks.data: internl is no key here", "did you mean internal?"),
        ("  nginx:\n    <<: *service\n", "  nginx:\n    <<: *service\n    post_start: [{user: '1:1'}]\n",
         "services.nginx.post_start[0]: command is missing", "command: a text or a list"),
        ("  nginx:\n    <<: *service\n", "  nginx:\n    <<: *service\n    privileged: maybe\n",
         'services.nginx.privileged is "maybe"', "true or false"),
        ("services:\n", "services:\n  empty: {user: '1:1'}\n",
         "services.empty has no image, no build, no provider", "an image, or a build, or a provider"),
        ("networks: [data]", "networks: data", 'services.mariadb.networks is "data"', "a mapping"),
    ],
)  # fmt: skip
def test_an_error_in_a_compose_file_can_be_read(repository, old, new, what, should):
    if new is None:
        assert said(repository, "SCHEMA_COMPOSE") == []
        return
    change(repository, "docker-compose.yml", old, new)
    found = said(repository, "SCHEMA_COMPOSE")
    assert any(what in each[1] and should in each[2] for each in found), found
    assert all(each[0].startswith("docker-compose.yml:") for each in found)


@pytest.mark.parametrize(
    ("old", "new", "what", "should"),
    [
        ("TZ=UTC", "TZ=Mars time", 'TZ is "Mars time"', "a name such as Asia/Tokyo"),
        ("ADMIN_EMAIL=", "ADMIN_MAIL=", "ADMIN_MAIL is no key here", "did you mean ADMIN_EMAIL?"),
        ("SSD_PATH=/", "SSD_PATH=", "SSD_PATH is", "an absolute path"),
        ("SSD_PATH=/srv/", "SSD_PATH=/srv/../", "SSD_PATH is", "without . or .."),
        ("TZ=UTC\n", "TZ=UTC\nLAN_ADDRESS=0.0.0.0\n", "LAN_ADDRESS is", "not 0.0.0.0"),
        ("TZ=UTC\n", "TZ=UTC\nLOCAL_WEB_PORT=65536\n", "LOCAL_WEB_PORT is", "1 to 65535"),
        ("MYSQL_PASSWORD=\n", "", "MYSQL_PASSWORD is missing", "MYSQL_PASSWORD"),
    ],
)
def test_an_error_in_the_environment_can_be_read(repository, old, new, what, should):
    change(repository, ".env.example", old, new)
    found = said(repository, "SCHEMA_ENVIRONMENT")
    assert any(what in each[1] and should in each[2] for each in found), found


def test_the_host_s_own_env_file_is_judged_and_its_secrets_are_not_shown(repository):
    text = (repository / ".env.example").read_text()
    (repository / ".env").write_text(text.replace("MYSQL_PASSWORD=\n", "MYSQL_PASSWORD=<geheim>\n"))
    found = said(repository, "SCHEMA_ENVIRONMENT")
    assert [each[0].split(":")[0] for each in found] == [".env"]
    assert "geheim" not in str(found) and "at least 12" in found[0][2]


def test_stored_answers_are_judged(repository):
    answers = {"project_name": "Mail", "object_lock_days": "30", "relay": "pigeon", "_template": "x"}
    (repository / ".cruft.json").write_text(json.dumps({"context": {"cookiecutter": answers}}, indent=1))
    found = said(repository, "SCHEMA_ANSWERS")
    assert any('relay is "pigeon"' in each[1] and "sendgrid" in each[2] for each in found)
    assert not any("object_lock_days is" in each[1] for each in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" ~all", " +all"),
        (" ~all", " all"),
        (" ~all", ""),
        ("p=quarantine", "p=none"),
        ("; rua=mailto:postmaster@example.com", ""),
        ("route3.mx.cloudflare.net", "mx.example.net"),
        ('    - {service: "http_status:404"}\n', ""),
        ("http://nginx:80", "http://192.0.2.1:80"),
        ('emails: ["you@example.net"]', "emails: []"),
        ('emails: ["you@example.net"]', "emails: [everyone]"),
        ('dkim:\n  domain: "example.com"\n', ""),
    ],
)
def test_what_would_open_the_edge_is_found(repository, old, new):
    change(repository, "edge/edge.yml", old, new)
    assert said(repository, "SCHEMA_EDGE")


@pytest.mark.parametrize(
    ("rule", "file", "old", "new", "fix"),
    [
        ("SCHEMA_COMPOSE", "docker-compose.yml", "interval: 30s", "interval: 30 seconds",
         "Write interval as a duration such as 30s or 1m30s"),
        ("SCHEMA_COMPOSE", "docker-compose.yml", "  data: {internal: true}", "  data: {internl: true}",
         "Write internal instead of internl"),
        ("SCHEMA_ENVIRONMENT", ".env.example", "MYSQL_PASSWORD=\n", "", "Add MYSQL_PASSWORD"),
        ("SCHEMA_ENVIRONMENT", ".env.example", "TZ=UTC\n", "TZ=UTC\nZZZ=1\n", "Remove ZZZ, or correct it"),
    ],
)  # fmt: skip
def test_what_to_type_is_said(repository, rule, file, old, new, fix):
    change(repository, file, old, new)
    found = check(repository, Options(only=(rule,))).report.findings
    assert any(each.fix.startswith(fix) for each in found), [each.fix for each in found]


def test_one_line_that_many_services_share_is_told_once_to_people(repository, capsys):
    change(repository, "docker-compose.yml", "interval: 30s", "interval: 30 seconds")
    assert main(["check", str(repository), "--only", "SCHEMA_COMPOSE"]) == 1
    said = capsys.readouterr().out
    assert said.count("high docker-compose.yml:") == 1 and " more by this line" in said
    assert main(["check", str(repository), "--only", "SCHEMA_COMPOSE", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["findings"]) > 5


def patterns(schema: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """Yield every part of a schema that has a regular expression for a value."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield path, schema
        for key, value in schema.items():
            yield from patterns(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from patterns(value, f"{path}[{number}]")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_pattern_is_explained_in_words(file):
    schema = json.loads(file.read_text(encoding="utf-8"))
    silent = [path for path, part in patterns(schema) if not (part.get("x-allowed") or part.get("x-fix"))]
    assert silent == []


@pytest.mark.parametrize(
    ("schema", "text", "what", "should"),
    [
        (
            "compose",
            "services: {'bad name!': {image: x}}",
            'services: "bad name!" is no name',
            "letters, digits",
        ),
        ("compose", "services: {}", "services is empty", "one entry at least"),
        ("compose", "services: []", "services is a list", "a mapping"),
        ("compose", "- a", "the file is a list", "a mapping"),
        (
            "compose",
            "services: {a: {image: ''}}",
            'services.a.image is ""',
            "Name, tag and digest of the image",
        ),
        ("answers", "mail_domain: foo", 'mail_domain is "foo"', "a domain you own, such as 'acme.com'"),
        ("answers", "object_lock_days: 0", "object_lock_days is 0", "at least 1"),
        ("answers", "{}", "the file: api_host is missing", "api_host: a host of your domain, such as"),
        ("answers", f"project_name: {'a' * 90}", "project_name has 90 letters", "a plain name such as"),
        ("policy", "waivers: {}", "waivers is a mapping", "a list"),
        ("policy", "waivers: [{place: ' '}]", 'waivers[0].place is " "', "a path from the root such as"),
    ],
    ids=lambda value: value if " is " in value or " has " in value else "",
)
def test_every_kind_of_error_is_said_in_words(schema, text, what, should):
    [document] = located.documents(text, "file.yml")
    found = [(each.what, each.should) for each in schemas.errors(schema, document, Place("file.yml"))]
    assert any(what in each[0] and each[1].startswith(should) for each in found), found
    assert all(len(each[0]) < 200 and "^" not in each[1] for each in found)
