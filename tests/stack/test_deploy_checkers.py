"""What a deployment refuses before anything is touched: each service's checker, in its own image."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from tests.stack.conftest import PREFIX, TEMPLATE
from tools import standins

sys.path.append(str(TEMPLATE / "{{cookiecutter.project_slug}}/platform/mailctl/src"))
from mailctl.core.context import Context
from mailctl.core.engine import connected
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.core.runtime import Runtime
from mailctl.deploy import checks
from mailctl.deploy.tree import Tree
from mailctl.secret_files.initialise import initialise

# A file of each service, what is put into it, and a word of the complaint.
BROKEN = {
    "dovecot": ("config/dovecot/dovecot.conf", "dovecot_config_version", "nosuch = 1\n{}", "first setting"),
    "sieve": ("config/dovecot/sieve/spam-to-junk.sieve", "if ", "nonsense here;\n{}", "nonsense"),
    "mariadb": ("config/mariadb/mailserver.cnf", "[mariadbd]\n", "{}nosuch = 1\n", "nosuch"),
    "nginx": ("config/nginx/mailserver.conf", "server_tokens", "broken on\n{}", "broken"),
    "clamav": ("config/clamav/clamd.conf", "\n", "\nNoSuchOption yes\n", "NoSuchOption"),
    "rspamd": ("config/rspamd/local.d/actions.conf", "", "reject = = {{;\n{}", "actions.conf"),
    "roundcube": ("config/roundcube/mailserver.php", "<?php", "{} if (;", "mailserver.php"),
}


@pytest.fixture(scope="module")
def checker(images, tmp_path_factory) -> Iterator[tuple[Runtime, Tree]]:
    """A repository with its secrets, and a commit of it beside, about to be deployed."""
    folder = tmp_path_factory.mktemp("checkers")
    answers = {"project_slug": f"{PREFIX}-checkers"}
    repo = Path(cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(folder)))
    files = [repo / "docker-compose.yml", *([standins.override(repo)] if images.standins else [])]
    shutil.copy(repo / ".env.example", repo / ".env")
    environ = {**os.environ, "COMPOSE_FILE": os.pathsep.join(map(str, files))}
    context = Context(repo, Output(), environ)
    initialise(context, repo / "secrets")
    shutil.copytree(repo, folder / "stage", ignore=shutil.ignore_patterns("secrets", ".env"))
    with connected() as engine:
        yield Runtime(context, engine), Tree(repo, folder / "stage")


@pytest.mark.parametrize("name", ["mariadb", "dovecot", "nginx", "clamav", "rspamd", "roundcube"])
def test_a_checker_takes_the_configuration_as_it_is(checker, name):
    runtime, tree = checker
    checks.check(runtime, tree, runtime.services(tree.stage), [name])


@pytest.mark.parametrize("case", BROKEN)
def test_a_checker_refuses_a_broken_file_and_names_the_cause(checker, case):
    runtime, tree = checker
    name, before, after, word = BROKEN[case]
    path = tree.stage / name
    text = path.read_text()
    path.write_text(text.replace(before, after.format(before), 1))
    service = "dovecot" if case == "sieve" else case
    try:
        with pytest.raises(Refused, match=word):
            checks.check(runtime, tree, runtime.services(tree.stage), [service])
    finally:
        path.write_text(text)
