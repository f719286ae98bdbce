"""Renders the Terraform part of the template as cookiecutter does."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}" / "terraform"
ANSWERS: Mapping[str, Any] = {
    "project_slug": "mailserver",
    "aws_region": "ap-northeast-1",
    "backup_bucket": "example-com-mail-backup",
    "state_bucket": "example-com-mail-tfstate",
    "object_lock_days": 30,
    "monthly_budget_usd": 10,
    "admin_email": "admin@example.com",
    "github_environments": True,
}
_SCRATCH = {".terraform", ".terraform.lock.hcl"}


def questions() -> dict[str, Any]:
    """cookiecutter.json."""
    return json.loads((ROOT / "cookiecutter.json").read_text())


def front_door(target: Path) -> None:
    """Copies the Makefile of a generated repository, and what its targets for Terraform run."""
    repository = TEMPLATE.parent
    shutil.copytree(repository / "platform/make", target / "platform/make")
    for file in ("Makefile", "platform/scripts/terraform.py"):
        (target / file).parent.mkdir(exist_ok=True)
        shutil.copy(repository / file, target / file)


def render(target: Path, answers: Mapping[str, Any] | None = None) -> Path:
    """Writes terraform/ of a generated repository to `target`, with ANSWERS changed by `answers`."""
    settings = questions()["_jinja2_env_vars"]
    jinja = Environment(  # noqa: S701 - the output is HCL, not HTML
        undefined=StrictUndefined, keep_trailing_newline=True, **settings
    )
    context = {"cookiecutter": {**ANSWERS, **(answers or {})}}
    for source in sorted(TEMPLATE.rglob("*")):
        relative = source.relative_to(TEMPLATE)
        if source.is_dir() or _SCRATCH & set(relative.parts):
            continue
        destination = target / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        text = jinja.from_string(source.read_text()).render(context)
        destination.write_text(text)
        shutil.copymode(source, destination)
    return target
