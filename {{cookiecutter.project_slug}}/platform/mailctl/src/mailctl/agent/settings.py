"""agent.yml: what the host trusts. It is the operator's, and never read from a commit."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.agent.home import Home
from mailctl.core.errors import Problem, Refused

FILE = "agent.yml"
CHECKS, SIGNATURE, REF = "checks", "signature", "ref"


@dataclass(frozen=True)
class Settings:
    """Each field is a line of agent.yml."""

    repository: str
    remote: str
    branch: str = "main"
    api: str = "https://api.github.com"
    workflows: tuple[str, ...] = (".github/workflows/main.yml",)
    trust: tuple[str, ...] = (CHECKS,)
    ref: str = "checked"
    heal: bool = False


def load(home: Home) -> Settings | None:
    """None where there is no agent.yml. Raises Refused with each line that cannot be meant."""
    import jsonschema
    import yaml

    try:
        found: dict[str, Any] = yaml.safe_load((home.root / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, ValueError) as error:
        wrong = f"does not parse: {' '.join(str(error).split())[:200]}"
        raise Refused(Problem(FILE, wrong, "fix it", value=str(home.root / FILE))) from None
    schema = json.loads(Path(__file__).with_name("agent.schema.json").read_text("utf-8"))
    wrong_ones = list(jsonschema.Draft202012Validator(schema).iter_errors(found))
    if wrong_ones:
        raise Refused(*(_problem(schema, error) for error in wrong_ones))
    if CHECKS in found.get("trust", [CHECKS]) and not found.get("repository"):
        wanted = schema["properties"]["repository"]["title"]
        raise Refused(Problem(f"{FILE}: repository", f"is not {wanted}", f"write {wanted}", value=""))
    lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    plain: dict[str, Any] = {"repository": "", "remote": "", **found, **lists}
    return Settings(**plain)


def _problem(schema: dict[str, Any], error: Any) -> Problem:
    name = str(error.absolute_path[0]) if error.absolute_path else ""
    wanted = schema["properties"][name]["title"] if name else schema["title"]
    value = str(error.instance) if name else None
    where = f"{FILE}: {name}" if name else FILE
    return Problem(where, f"is not {wanted}" if name else error.message, f"write {wanted}", value=value)
