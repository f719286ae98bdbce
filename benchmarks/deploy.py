"""Deployments of a whole host against `docker compose up -d --wait` on it.

The two take turns on one host, after its first deployment.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

from tests.deploy.lab import Lab, opened
from tests.deploy.target import REPOSITORY

ROUNDS = int(os.environ.get("BENCHMARK_ROUNDS", "3"))
UP = "docker compose up --detach --wait --wait-timeout 600"
FILE, LINE = "docker-compose.yml", "  nginx:\n    <<: *service\n"
EVERY = "x-service: &service\n"


def seconds(lab: Lab, line: str) -> float:
    """How long a line takes in the host's repository; it must succeed."""
    began = perf_counter()
    lab.target.shell(f"cd {REPOSITORY} && {line}")
    return perf_counter() - began


def changed(lab: Lab, line: str, label: str) -> str:
    """A commit with one more label after a line of the Compose file, already fetched by the host."""
    lab.origin.back(lab.good)
    indent = " " * (2 if line == EVERY else 4)
    edit = {"file": FILE, "replace": [line, f'{line}{indent}labels: {{round: "{label}"}}\n']}
    commit = lab.origin.change(f"Round {label}", [edit])
    lab.target.shell(f"git -C {REPOSITORY} fetch --quiet origin")
    return commit


def held(lab: Lab) -> float:
    """For how long the last deployment held mail, in seconds."""
    said = lab.target.shell(f"cd {REPOSITORY} && .venv/bin/mailctl history --json")
    return float((json.loads(said)["deployments"][0]["held"] or {"seconds": 0})["seconds"])


def one_round(lab: Lab, number: int) -> dict[str, float]:
    """Each figure once."""
    taken = {"up, no change": seconds(lab, UP), "no change": seconds(lab, f"make deploy REF={lab.good}")}
    commit = changed(lab, LINE, str(number))
    taken["one service"] = seconds(lab, f"make deploy REF={commit}")
    taken["rollback"] = seconds(lab, "make rollback")
    taken["up, one service"] = seconds(lab, f"git checkout --quiet {commit} && {UP}")
    seconds(lab, f"git checkout --quiet {lab.good} && {UP}")
    seconds(lab, f"make deploy REF={lab.good}")
    taken["verification"] = seconds(lab, "make verify")
    commit = changed(lab, EVERY, f"all {number}")
    taken["all services"] = seconds(lab, f"make deploy REF={commit}")
    taken["mail held for all services"] = held(lab)
    seconds(lab, f"make deploy REF={lab.good}")
    taken["up, all services"] = seconds(lab, f"git checkout --quiet {commit} && {UP}")
    seconds(lab, f"git checkout --quiet {lab.good} && {UP}")
    seconds(lab, f"make deploy REF={lab.good}")
    return taken


def measure(name: str, port: int, standin: bool) -> dict[str, float]:
    """The medians of some rounds, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("DEPLOY_LAB")
        with opened(name, Path(kept or folder), port, standin, keep=bool(kept)) as lab:
            lab.begin()
            rounds = [one_round(lab, number) for number in range(ROUNDS)]
    return {what: statistics.median(each[what] for each in rounds) for what in rounds[0]}
