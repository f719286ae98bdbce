"""shellcheck and zizmor."""

from __future__ import annotations

import json

from policies.gate.tools.base import Outcome, Settings, Tool, execute, program
from policies.model import Place
from policies.sources.repository import Repository

SHELLS = ("sh", "bash", "dash", "ksh")


def shell_scripts(repository: Repository) -> list[str]:
    """Return the scripts: by their name, or by the interpreter that their first line names."""
    found = []
    for file in repository.files:
        name = file.rpartition("/")[2]
        if name.endswith((".sh", ".bash")):
            found.append(file)
        elif "." not in name:
            first = repository.text(file).partition("\n")[0]
            if (
                first.startswith("#!")
                and first.split("/")[-1].split()[-1:]
                and first.split("/")[-1].split()[-1] in SHELLS
            ):
                found.append(file)
    return found


class Shellcheck(Tool):
    """shellcheck over every script."""

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
            [command, "--format=json", "--external-sources", *shell_scripts(repository)], repository.root
        )
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return self.broken(done.stderr.strip() or "no answer")
        outcome = Outcome()
        for each in said:
            link = f"https://www.shellcheck.net/wiki/SC{each['code']}"
            what = f"SC{each['code']}: {each['message'].rstrip('.')}"
            outcome.findings.append(self.finding(Place(each["file"], each["line"]), what, f"see {link}"))
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
        done = execute(
            [command, "--offline", "--quiet", "--no-exit-codes", "--format=json", *files], repository.root
        )
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return self.broken(done.stderr.strip() or "no answer")
        outcome = Outcome()
        for each in said:
            if each.get("ignored"):
                continue
            primary = next(
                (at for at in each["locations"] if at["symbolic"]["kind"] == "Primary"), each["locations"][0]
            )
            file = primary["symbolic"]["key"]["Local"]["given_path"]
            line = primary["concrete"]["location"]["start_point"]["row"] + 1
            what = f"{each['ident']}: {each['desc']}"
            outcome.findings.append(
                self.finding(Place(file.removeprefix("./"), line), what, f"see {each['url']}")
            )
        return outcome
