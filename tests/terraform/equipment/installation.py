"""Puts `terraform` and the stand-in provider where Terraform looks for them."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from equipment.aws import DATA_SOURCES, RESOURCES
from equipment.schema import PROVIDER, cache_directory, schema_file

PROVIDER_VERSION = "6.25.0"
_PACKAGES = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Installation:
    """A folder with the command, the mirror and the settings that lead to it."""

    folder: Path

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "terraform"

    def environment(self, endpoint: str) -> dict[str, str]:
        """The whole environment of a run whose AWS answers at `endpoint`; nothing is inherited."""
        services = ("S3", "STS", "DYNAMODB", "IAM")
        return {
            "PATH": f"{self.command.parent}:{os.defpath}",
            "HOME": str(cache_directory()),  # the handshake's certificate is kept here between runs
            "TF_CLI_CONFIG_FILE": str(self.folder / "terraform.rc"),
            "TF_CLI_ARGS": "-no-color",
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_ACCESS_KEY_ID": "AKIAOPERATOR00000001",
            "AWS_SECRET_ACCESS_KEY": "operator",
            "AWS_REGION": "ap-northeast-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,
            **{f"AWS_ENDPOINT_URL_{service}": endpoint for service in services},
        }


def install(folder: Path) -> Installation:
    """Writes the executables and settings into `folder`; recovers the schema first if need be."""
    installation = Installation(folder)
    schema = schema_file(RESOURCES, DATA_SOURCES)
    platform = folder / "mirror" / PROVIDER / PROVIDER_VERSION / "linux_amd64"
    _script(platform / f"terraform-provider-aws_v{PROVIDER_VERSION}", "equipment.servicer", str(schema))
    _script(installation.command, "equipment.command")
    (folder / "terraform.rc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n}}\n'
    )
    return installation


def _script(path: Path, module: str, *arguments: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    call = shlex.join([sys.executable, "-m", module, *arguments])
    path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(_PACKAGES))} exec {call} "$@"\n')
    path.chmod(0o755)
