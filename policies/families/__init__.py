"""One base class for each kind of file. A rule inherits from one of them and implements `check`."""

from policies.families.actions import ActionsRule
from policies.families.compose import ComposeRule
from policies.families.configuration import ConfigurationRule
from policies.families.dockerfiles import DockerfileRule
from policies.families.repository import RepositoryRule
from policies.families.terraform import TerraformRule

__all__ = [
    "ActionsRule",
    "ComposeRule",
    "ConfigurationRule",
    "DockerfileRule",
    "RepositoryRule",
    "TerraformRule",
]
