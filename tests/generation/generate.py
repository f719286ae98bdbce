"""Run real cookiecutter in this process, with nothing of the user's own configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cookiecutter.main import cookiecutter

from tools.answers import ROOT


def config_file(folder: Path) -> Path:
    """Return a cookiecutter configuration that keeps everything inside `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    private = {"cookiecutters_dir": str(folder / "cache"), "replay_dir": str(folder / "replay")}
    path.write_text(json.dumps(private), encoding="utf-8")
    return path


def render(changes: Mapping[str, object], out: Path, config: Path, template: Path = ROOT) -> Path:
    """Generate a repository into `out` and return its folder; cookiecutter's own errors come through."""
    made = cookiecutter(
        str(template),
        no_input=True,
        extra_context=dict(changes),
        output_dir=str(out),
        config_file=str(config),
    )
    return Path(made)
