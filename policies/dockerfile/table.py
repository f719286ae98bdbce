"""The rules of Dockerfiles: each is a row of rules.yml and a function in rules/."""

from __future__ import annotations

from pathlib import Path

from policies.shared.rule import Kind

RULES = Path(__file__).with_name("rules.yml")
KIND = Kind("dockerfile", "dockerfile", lambda repository: repository.dockerfiles, {RULES: None})
