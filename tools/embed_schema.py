"""Embed schemas/answers.schema.json into the pre_gen hook, which cannot read files: `python -m tools.embed_schema`.

`--check` changes nothing and exits 1 if the hook is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schemas" / "answers.schema.json"
HOOK = ROOT / "hooks" / "pre_gen_project.py"
MARKERS = re.compile(r"(?<=\n)# >>> schema: [^\n]*\n(?P<body>.*?)(?=# <<< schema\n)", re.DOTALL)
# What readers and editors need and a validator does not.
ANNOTATIONS = ("$schema", "$id", "title", "description", "examples")


def embedded(schema: dict) -> str:
    """Return the Python statement that holds what the validator needs of the schema, one field a line."""
    bare = {key: value for key, value in schema.items() if key not in (*ANNOTATIONS, "properties")}
    fields = [
        f'  "{name}": {json.dumps({k: v for k, v in rule.items() if k not in ANNOTATIONS})}'
        for name, rule in schema["properties"].items()
    ]
    head = json.dumps(bare)[:-1]
    # Two braces in a row would be Jinja's when cookiecutter renders the hook.
    body = f'{head}, "properties": {{\n' + ",\n".join(fields) + "\n} }"
    return f'SCHEMA: dict = json.loads(\n    r"""\n{body}\n"""  # noqa: E501\n)\n'


def updated(hook: str, schema: dict) -> str:
    """Return the hook's text with the schema embedded between its markers; ValueError if it has none."""
    found = MARKERS.search(hook)
    if found is None:
        raise ValueError(f"{HOOK.name} has no '# >>> schema:' and '# <<< schema' markers")
    return hook[: found.start("body")] + embedded(schema) + hook[found.end("body") :]


def main(arguments: list[str] | None = None) -> int:
    """Write or check the embedded schema; 0 when the hook is up to date afterwards, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tools.embed_schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the hook is up to date")
    options = parser.parse_args(arguments)
    old = HOOK.read_text(encoding="utf-8")
    new = updated(old, json.loads(SCHEMA.read_text(encoding="utf-8")))
    if old == new:
        return 0
    if options.check:
        print("hooks/pre_gen_project.py is out of date: run `python -m tools.embed_schema`", file=sys.stderr)
        return 1
    HOOK.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
