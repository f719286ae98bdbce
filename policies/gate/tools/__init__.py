"""Checkers that others wrote: each looks whether it is at hand, runs, and gives findings."""

from policies.gate.tools.base import Outcome, Tool
from policies.gate.tools.linters import Hadolint, Shellcheck, Zizmor
from policies.gate.tools.orchestration import ComposeConfig, Terraform
from policies.gate.tools.services import SERVICES

TOOLS: tuple[Tool, ...] = (ComposeConfig(), Terraform(), Zizmor(), Shellcheck(), Hadolint(), *SERVICES)

__all__ = ["TOOLS", "Outcome", "Tool"]
