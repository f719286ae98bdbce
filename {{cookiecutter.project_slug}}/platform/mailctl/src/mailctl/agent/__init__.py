"""The agent deploys from a folder of its own, AGENT_DIR: no commit can break what deploys the next one.

agent.yml and keys/ in it are the operator's. versions/ and envs/ are what commits brought, `current` and
`previous` the last two versions that carried a deployment to a good end. Other capabilities ask only what
stands here.
"""

import json
from pathlib import Path
from typing import Any

from mailctl.core.context import Context


def folder(context: Context) -> Path:
    """AGENT_DIR, as an absolute path."""
    return context.folder("AGENT_DIR", f"/opt/{context.project_name}-agent")


def branch(context: Context) -> str:
    """What this host follows: `branch` of agent.yml; main where that cannot be read."""
    import yaml

    try:
        return str(yaml.safe_load((folder(context) / "agent.yml").read_text("utf-8"))["branch"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return "main"


def state(context: Context) -> dict[str, Any]:
    """What the agent did last; empty where it never ran, or when this user may not read it."""
    try:
        return dict(json.loads((folder(context) / "state.json").read_text("utf-8")))
    except (OSError, ValueError):
        return {}
