"""shellcheck and zizmor."""

from __future__ import annotations

import json
import os
import re

from policies.gate.tools.base import Outcome, Settings, Tool, execute, program
from policies.model import Place
from policies.shared.repository import Repository

#: Variables that hold options of a linter.
LESS = ("SHELLCHECK_", "ZIZMOR_")
SHEBANG = re.compile(r"#!\s*\S*/(?:env\s+(?:-\S+\s+)*(?:\w+=\S+\s+)*)?(?:\S*/)?(?:ba|da|k|a)?sh(?:\s|$)")


def _plain_environment() -> dict[str, str]:
    """Return the environment without what would tell a linter to look at less."""
    return {name: value for name, value in os.environ.items() if not name.startswith(LESS)}


def shell_scripts(repository: Repository) -> list[str]:
    """Return the scripts: by their name, or by the interpreter that their first line names."""
    return [
        file
        for file in repository.files
        if file.lower().endswith((".sh", ".bash", ".dash", ".ksh"))
        or SHEBANG.match(repository.text(file)[:200])
    ]


OPTIONS = ("--norc", "--format=json", "--external-sources", "--exclude=SC1017,SC2148")


class Shellcheck(Tool):
    """shellcheck over every script; a first line or line ends that are wrong are MAIL_REP_006's."""

    rule = "SHELLCHECK"
    title = "shellcheck"

    def needed(self, repository: Repository) -> bool:
        """Tell whether there are scripts."""
        return bool(shell_scripts(repository))

    def run(self, repository: Repository, settings: Settings) -> Outcome:
        """Run it over all scripts at once."""
        command = program("shellcheck")
        if not command:
            return Outcome(absent="shellcheck is not installed")
        done = execute(
            [command, *OPTIONS, "--", *shell_scripts(repository)],
            repository.root,
            env=_plain_environment(),
        )
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return self.broken(done.stderr.strip() or "no answer")
        outcome = Outcome()
        for each in said:
            link = f"https://www.shellcheck.net/wiki/SC{each['code']}"
            what = f"SC{each['code']}: {each['message'].rstrip('.')}"
            place, code = Place(each["file"], each["line"]), f"SC{each['code']}"
            outcome.findings.append(self.finding(place, what, f"see {link}", code))
        return outcome


class Zizmor(Tool):
    """zizmor over .github, without the network."""

    rule = "ZIZMOR"
    title = "zizmor"

    def needed(self, repository: Repository) -> bool:
        """Tell whether there are workflows."""
        return bool(repository.workflows)

    def run(self, repository: Repository, settings: Settings) -> Outcome:
        """Run it over the workflows."""
        command = program("zizmor")
        if not command:
            return Outcome(absent="zizmor is not installed")
        files = [each.file for each in repository.workflows]
        options = ("--offline", "--quiet", "--no-exit-codes", "--no-config", "--no-ignores", "--format=json")
        done = execute([command, *options, "--", *files], repository.root, env=_plain_environment())
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return self.broken(done.stderr.strip() or "no answer")
        outcome = Outcome()
        for each in said:
            primary = next(
                (at for at in each["locations"] if at["symbolic"]["kind"] == "Primary"), each["locations"][0]
            )
            file = primary["symbolic"]["key"]["Local"]["verbatim_path"]
            line = primary["concrete"]["location"]["start_point"]["row"] + 1
            what = f"{each['ident']}: {each['desc']}"
            place = Place(file.removeprefix("./"), line)
            outcome.findings.append(self.finding(place, what, f"see {each['url']}", each["ident"]))
        return outcome
