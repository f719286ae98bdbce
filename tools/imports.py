"""Who may import whom: checks the contracts of [tool.importlinter] in pyproject.toml, for `make lint`."""

from __future__ import annotations

import sys

from importlinter.cli import lint_imports

from tools.answers import ROOT

#: Where the packages lie; of one that PYTHONPATH names as well, that counts.
FOLDERS = (
    "{{cookiecutter.project_slug}}/platform/mailctl/src",
    "{{cookiecutter.project_slug}}/platform/usermgmt",
    ".",
)


def main() -> int:
    """Check all of them; 1 when one is broken."""
    sys.path += [str(ROOT / folder) for folder in FOLDERS]
    return lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)


if __name__ == "__main__":
    raise SystemExit(main())
