"""Runs tests/host with pytest in an environment of their own, and reads what they found."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.output import Output

ENVIRONMENT = ".venv-verify"
SCHEMES = ("local://", "ssh://", "docker://")
# pytest's exit codes for a run that came to an end: all good, some failed.
ENDED = (0, 1)
LIMIT_SECONDS = 1800


@dataclass(frozen=True)
class Target:
    """The host as testinfra names it, and where the repository is there."""

    host: str
    path: str | None
    sudo: bool
    only: str | None


@dataclass(frozen=True)
class Results:
    """Every test with name, why, outcome, seconds and message; every figure. As tests/host wrote them."""

    host: str
    began: float
    seconds: float
    tests: list[dict[str, Any]]
    figures: list[dict[str, Any]]

    @property
    def ok(self) -> bool:
        return bool(self.tests) and not self.named("failed")

    def named(self, outcome: str) -> list[dict[str, Any]]:
        return [test for test in self.tests if test["outcome"] == outcome]

    def as_dict(self) -> dict[str, Any]:
        counts = {name: len(self.named(name)) for name in ("passed", "failed", "skipped")}
        found = {"tests": self.tests, "figures": self.figures}
        return {"host": self.host, "seconds": round(self.seconds, 1), **counts, **found}


def tests(repo: Path, target: Target, reports: Path) -> Results:
    """Run them. Raises Misuse for a host of no known kind, Refused when they did not run to their end."""
    if not target.host.startswith(SCHEMES):
        fix = f"write one of: {', '.join(SCHEMES)}"
        raise Misuse(Problem("--host", "is no host that can be reached", fix, value=target.host))
    python = repo / ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise Refused(Problem(ENVIRONMENT, "the tests' libraries are not installed", "make verify"))
    reports.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        kept = Path(folder) / "results.json"
        done = subprocess.run(
            [str(python), *_words(target, kept, reports / "verify.xml")],
            cwd=repo,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        if done.returncode not in ENDED or not kept.exists():
            wrong = f"did not run to their end (exit code {done.returncode}); what they said stands above"
            problem = Problem("tests/host", wrong, "fix what they name: is the host reachable, by this user?")
            raise Refused(problem, details=(done.stdout + done.stderr)[-3000:])
        return Results(target.host, **json.loads(kept.read_text("utf-8")))


def _words(target: Target, kept: Path, junit: Path) -> list[str]:
    words = ["-m", "pytest", "tests/host", "--quiet", "-p", "no:cacheprovider"]
    words += [f"--hosts={target.host}", f"--junitxml={junit}", f"--results={kept}"]
    words += [f"--path={target.path}"] if target.path else []
    words += ["--sudo"] if target.sudo else []
    return [*words, "-k", target.only] if target.only else words


def show(out: Output, results: Results) -> None:
    """One line a test that did not pass, with what was found and why it matters."""
    from rich.text import Text

    for test in (*results.named("failed"), *results.named("skipped")):
        failed = test["outcome"] == "failed"
        mark = Text("failed ", style="bold red") if failed else Text("skipped", style="yellow")
        out.lines([mark + Text(f" {title(test)}", style="")])
        details = [*test["message"].strip().splitlines()[:12], test["why"] if failed else ""]
        out.lines([Text(f"        {line}", style="dim") for line in details if line])
    counts = ", ".join(f"{len(results.named(name))} {name}" for name in ("passed", "failed", "skipped"))
    out.show(f"{results.host}: {counts} in {results.seconds:.0f} s")


def title(test: dict[str, Any]) -> str:
    """test_disks.py::test_each_disk_has_room as a sentence."""
    return str(test["name"]).rpartition("::")[2].removeprefix("test_").replace("_", " ")


def area(test: dict[str, Any]) -> str:
    return Path(test["name"].partition("::")[0]).stem.removeprefix("test_")
