"""The rules of workflows: rules.yml, and the function behind each demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policies.model import Found
from policies.shared.rule import Kind
from policies.workflows.deployments import deployments
from policies.workflows.gate_job import gate
from policies.workflows.jobs import images, permissions, runners, timeouts
from policies.workflows.secrets import secrets
from policies.workflows.strangers import strangers

LOOKS = {
    each.__name__: each for each in (deployments, images, permissions, runners, secrets, strangers, timeouts)
}


def check(demand: str, subject: Any) -> Iterator[Found]:
    """Yield what breaks a demand in one workflow; the gate's job may be in any of them."""
    if demand != "gate":
        yield from LOOKS[demand](subject)
    elif subject is subject.repository.workflows[0]:
        yield from gate(subject.repository)


RULES = Path(__file__).with_name("rules.yml")
KIND = Kind("workflows", "yaml", lambda repository: repository.workflows, {RULES: check})
