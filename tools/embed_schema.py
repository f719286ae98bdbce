"""Embed the answers' schema, hooks/facts.json and the relays into the pre_gen hook, which can read no file.

`python -m tools.embed_schema` writes them; `--check` changes nothing and exits 1 if the hook is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schemas" / "answers.schema.json"
FACTS = ROOT / "hooks" / "facts.json"
RELAYS = ROOT / "{{cookiecutter.project_slug}}" / "platform" / "relays.yml"
HOOK = ROOT / "hooks" / "pre_gen_project.py"
MARKERS = re.compile(r"(?<=\n)# >>> embedded [^\n]*\n(?P<body>.*?)(?=# <<< embedded\n)", re.DOTALL)
# What readers and editors need and a validator does not.
ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "examples", "comment"})


def _without_annotations(rule: dict) -> dict:
    return {key: value for key, value in rule.items() if key not in ANNOTATIONS}


def _statement(name: str, entries: dict[str, object]) -> str:
    """Return a Python statement that loads the entries, one a line, as ruff would format it."""
    lines = ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in entries.items())
    return f'{name}: dict = json.loads(\n    r"""{{\n{lines}\n}}"""  # noqa: E501\n)\n'


def all_facts() -> dict:
    """Return hooks/facts.json and, from the table of relays, where each one takes mail."""
    table = yaml.safe_load(RELAYS.read_text(encoding="utf-8"))
    relays = {
        name: {
            "title": relay["title"],
            "host": relay["host"]["value"],
            "hosts": relay["host"]["pattern"],
            "ports": list(relay["ports"]["value"]),
        }
        for name, relay in table.items()
        if "pattern" in relay["host"]
    }
    return {**json.loads(FACTS.read_text(encoding="utf-8")), "relays": relays}


def embedded(schema: dict, facts: dict) -> str:
    """Return the Python statements that hold what the validator needs of the schema and of the facts."""
    fields = {name: _without_annotations(rule) for name, rule in schema["properties"].items()}
    kept = {name: _without_annotations(fact) for name, fact in facts.items() if name not in ANNOTATIONS}
    return _statement("FIELDS", fields) + _statement("FACTS", kept)


def updated(hook: str, schema: dict, facts: dict) -> str:
    """Return the hook's text with both embedded between its markers; ValueError if it has none."""
    found = MARKERS.search(hook)
    if found is None:
        raise ValueError(f"{HOOK.name} has no '# >>> embedded' and '# <<< embedded' markers")
    return hook[: found.start("body")] + embedded(schema, facts) + hook[found.end("body") :]


def main(arguments: list[str] | None = None) -> int:
    """Write or check what is embedded; 0 when the hook is up to date afterwards, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tools.embed_schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the hook is up to date")
    options = parser.parse_args(arguments)
    old = HOOK.read_text(encoding="utf-8")
    new = updated(old, json.loads(SCHEMA.read_text(encoding="utf-8")), all_facts())
    if old == new:
        return 0
    if options.check:
        print("hooks/pre_gen_project.py is out of date: run `python -m tools.embed_schema`", file=sys.stderr)
        return 1
    HOOK.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
