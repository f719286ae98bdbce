"""A repository that can be asked for every kind of file: import `Repository` from here to judge one."""

from policies.compose.project import projects
from policies.config.reader import Configuration
from policies.dockerfile.reader import dockerfiles
from policies.shared.repository import Repository
from policies.terraform.reader import modules
from policies.workflows.reader import workflows

__all__ = ["Repository"]

Repository.readers.update(compose=projects, dockerfiles=dockerfiles, workflows=workflows, modules=modules)
Repository.readers.update(configuration=Configuration)
