"""Our reading of Compose files is Compose's own: compared with `docker compose config` by feature."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from policies.compose.project import resolve
from policies.shared import values
from policies.shared.located import mapping, sequence
from policies.shared.repository import Repository

MAIN = "docker-compose.yml"
BASE = """
services:
  web:
    image: nginx:1
    command: ["nginx", "-g", "daemon off;"]
    environment:
      A: "1"
      B: two
    ports: ["8080:80"]
    volumes: ["data:/data", "./html:/html:ro"]
    cap_drop: [ALL]
    networks: [front]
    depends_on: [db]
    healthcheck: {test: [CMD, "true"], interval: 30s}
    deploy: {resources: {limits: {memory: 256M}}}
  db:
    image: mariadb:11
networks: {front: {}, back: {}}
volumes: {data: {}}
"""
CASES = {
    "short forms": ({MAIN: BASE}, (MAIN,)),
    "an override adds and replaces": (
        {
            MAIN: BASE,
            "more.yml": """
services:
  web:
    command: ["nginx"]
    environment: [B=three, "C=4"]
    ports: ["127.0.0.1:8443:443", "8080:80"]
    volumes: ["other:/data", "./more:/more"]
    cap_add: [CHOWN]
    networks: {back: {aliases: [w]}}
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: curl localhost}
    privileged: true
volumes: {other: {}}
""",
        },
        (MAIN, "more.yml"),
    ),
    "extends in one file": (
        {
            MAIN: """
services:
  base: {image: nginx:1, privileged: true, environment: {A: base, B: base}, cap_add: [CHOWN]}
  web: {extends: base, environment: {A: web}, cap_add: [FOWNER]}
  third: {extends: {service: web}, read_only: true}
"""
        },
        (MAIN,),
    ),
    "extends from another file": (
        {
            MAIN: "services:\n  web: {extends: {file: sub/base.yml, service: base}, image: nginx:2}\n",
            "sub/base.yml": "services:\n  base: {image: nginx:1, user: root, volumes: ['./x:/x']}\n",
        },
        (MAIN,),
    ),
    "include": (
        {
            MAIN: "include: [sub/extra.yml]\nservices:\n  web: {image: nginx:1}\n",
            "sub/extra.yml": "services:\n  extra: {image: nginx:2, privileged: true, volumes: ['./y:/y']}\n",
        },
        (MAIN,),
    ),
    "anchors and merge keys": (
        {
            MAIN: """
x-base: &base
  restart: unless-stopped
  environment: &env {A: "1"}
services:
  web:
    <<: *base
    image: nginx:1
    environment: {<<: *env, B: "2"}
"""
        },
        (MAIN,),
    ),
    "variables": (
        {
            MAIN: """
services:
  web:
    image: nginx:${TAG:-latest}
    user: "${WHO-root}"
    command: ["${EMPTY:-full}", "${EMPTY-full}", "$$HOME", "${TAG:+set}", "${NONE:-${WHO}}", "x${WHO}y"]
    environment: {A: "${REQUIRED:?needed}"}
""",
            ".env": "TAG=1.2 # three\nWHO='someone'\nEMPTY=\nREQUIRED=\"yes\"\n",
        },
        (MAIN,),
    ),
    "reset and override": (
        {
            MAIN: BASE,
            "more.yml": "services:\n  web:\n    ports: !override ['9090:90']\n"
            "    privileged: true\n    cap_drop: !reset []\n",
        },
        (MAIN, "more.yml"),
    ),
    "a section that is replaced": (
        {MAIN: BASE, "more.yml": "services: !override\n  other: {image: 'nginx:2'}\n"},
        (MAIN, "more.yml"),
    ),
    "a service that is replaced": (
        {MAIN: BASE, "more.yml": "services:\n  db: !override {image: 'mariadb:12', user: root}\n"},
        (MAIN, "more.yml"),
    ),
    "an included file with variables of its own": (
        {
            MAIN: "include: [{path: [sub/one.yml, sub/two.yml], env_file: sub/one.env}]\n"
            "services:\n  web: {image: 'nginx:${TAG}'}\n",
            "sub/one.yml": "services:\n  one: {image: 'nginx:${TAG}', user: '${WHO}', volumes: ['./x:/x']}\n",
            "sub/two.yml": "services:\n  one: {privileged: true, command: ['${WHO}']}\n",
            "sub/one.env": "TAG=2\nWHO=root\n",
            ".env": "TAG=1\n",
        },
        (MAIN,),
    ),
    "an included file beside its env file": (
        {
            MAIN: "include: [sub/one.yml]\nservices:\n  web: {image: 'nginx:1'}\n",
            "sub/one.yml": "services:\n  one: {image: 'nginx:${TAG}'}\n",
            "sub/.env": "TAG=2\n",
        },
        (MAIN,),
    ),
    "variables made of others": (
        {
            MAIN: "services:\n  web: {image: 'nginx:${TAG}', user: '${A:+set}${B:+set}${B-unset}'}\n",
            ".env": "BASE=1\nTAG=${BASE}.2\nA=yes\nB=\n",
        },
        (MAIN,),
    ),
    "an env file with colons": (
        {
            MAIN: "services:\n  web: {image: 'nginx:1', env_file: web.env}\n",
            "web.env": "A: one\nexport B=two\n",
        },
        (MAIN,),
    ),
    "several documents": (
        {MAIN: BASE + "---\nservices:\n  web: {privileged: true, environment: {B: later}}\n"},
        (MAIN,),
    ),
    "words for switches": (
        {MAIN: "services:\n  web: {image: 'nginx:1', privileged: 'yes', read_only: \"true\", init: on}\n"},
        (MAIN,),
    ),
    "an env file": (
        {
            MAIN: "services:\n  web: {image: 'nginx:1', env_file: web.env, environment: {A: here}}\n",
            "web.env": "A=there\nB=there # comment\n# C=no\n",
        },
        (MAIN,),
    ),
}


def texts(value) -> list[str]:
    return [str(item) for item in sequence(value)]


def essence(service: dict, root: str) -> dict:
    """What both readings of a service must agree on."""

    def path(text) -> str:
        return os.path.relpath(text, root) if str(text).startswith("/") else str(text)

    limits = mapping(mapping(mapping(service.get("deploy")).get("resources")).get("limits"))
    return {
        "image": service.get("image"),
        "user": service.get("user"),
        "command": texts(service.get("command")),
        "restart": service.get("restart"),
        "privileged": bool(service.get("privileged")),
        "read_only": bool(service.get("read_only")),
        "environment": {key: str(value) for key, value in mapping(service.get("environment")).items()},
        "cap_add": sorted(texts(service.get("cap_add"))),
        "cap_drop": sorted(texts(service.get("cap_drop"))),
        "networks": sorted(mapping(service.get("networks"))) or ["default"],
        "depends_on": {key: value["condition"] for key, value in mapping(service.get("depends_on")).items()},
        "test": texts(mapping(service.get("healthcheck")).get("test")),
        "memory": values.amount(limits.get("memory"), "b"),
        "ports": sorted(
            (each.get("host_ip") or "", str(each.get("published") or ""), str(each["target"]))
            for each in service.get("ports") or ()
        ),
        "volumes": sorted(
            (each["type"], path(each["source"]), each["target"], bool(each.get("read_only")))
            for each in service.get("volumes") or ()
        ),
    }


@pytest.mark.parametrize(("files", "chosen"), CASES.values(), ids=list(CASES))
def test_compose_reads_the_same(files, chosen, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    arguments = [part for name in chosen for part in ("--file", name)]
    command = ["docker", "compose", "--project-name", "test", *arguments, "config", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    # It writes a dollar sign so that its own output could be read again.
    theirs = json.loads(done.stdout.replace("$$", "$"))["services"]
    repository = Repository(tmp_path)
    ours = resolve(repository, chosen).services
    root = str(tmp_path)
    assert {name: essence(service.data, root) for name, service in ours.items()} == {
        name: essence(service, root) | _shell(service, ours[name].data) for name, service in theirs.items()
    }
    assert repository.problems == []


def _shell(theirs: dict, ours: dict) -> dict:
    """Compose splits a command and wraps a test in CMD-SHELL; rules read the text either way."""
    test = mapping(theirs.get("healthcheck")).get("test") or []
    return (
        {"test": test[1:]}
        if test[:1] == ["CMD-SHELL"] and not isinstance(ours["healthcheck"]["test"], list)
        else {}
    )


def test_every_value_remembers_where_it_was_written(tmp_path):
    files, chosen = CASES["an override adds and replaces"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    web = resolve(Repository(tmp_path), chosen).services["web"]
    assert str(web.where("image")) == f"{MAIN}:4"
    assert str(web.where("privileged")) == "more.yml:12"
    assert str(web.where("environment", "A")) == f"{MAIN}:7"
    assert str(web.where("environment", "B")) == "more.yml:5"
    assert [str(place) for _, place in web.items("cap_add")] == ["more.yml:8"]
