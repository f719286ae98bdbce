"""The rules of the repository itself: each is a row of rules.yml and a function in rules/."""

from __future__ import annotations

from pathlib import Path

from policies.shared.rule import Kind

KIND = Kind(
    "repository", "text", lambda repository: [repository], {Path(__file__).with_name("rules.yml"): None}
)
