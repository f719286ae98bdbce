"""Write docs/relays.md of both languages from platform/relays.yml.

`python -m tools.relay_docs` writes them (`make hooks`); a test says when they are out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.answers import ROOT

TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
TABLE = TEMPLATE / "platform" / "relays.yml"
DOMAIN = "{{ cookiecutter.mail_domain }}"
MODES = {"tls": "TLS", "starttls": "STARTTLS"}
WORDS: dict[str, dict[str, str]] = yaml.safe_load(
    (ROOT / "tools" / "relay_docs.yml").read_text(encoding="utf-8")
)


def value_of(name: str, fact: dict, language: str) -> str:
    """Return what a fact says, for people; the words of the table itself come first."""
    words, value = WORDS[language], fact.get("value")
    if language in fact:
        return fact[language]
    if value == "unknown":
        return words["unknown"]
    if name == "ports":
        return ", ".join(f"{port} ({MODES[mode]})" for port, mode in value.items())
    if name == "size":
        return f"{value / 1_000_000:g} MB" if value % (1 << 20) else f"{value >> 20} MiB"
    if name == "username":
        return f"`{value}`" if value else words["own name"]
    if name == "accepts":
        return words["all"] if value == "all" else words["listed"]
    if isinstance(value, list | dict):
        return ", ".join(f"`{each}`" for each in value) or words["none"]
    return words.get(value, "") or (str(value) if isinstance(value, int) else f"`{value}`")


def placed(text: str) -> str:
    """Return a text of the table with the operator's own names in it."""
    return (
        text.replace("{domain}", DOMAIN)
        .replace("{region}", "{{ cookiecutter.aws_region }}")
        .replace("{host}", "smtp.relay.example")
    )


def section(relay: dict, language: str) -> Iterator[str]:
    """Yield the lines of one relay's section."""
    words = WORDS[language]
    yield from (f"## {relay['title']}", "", words["columns"], "|---|---|---|")
    for name, label in words.items():
        if name in relay:
            fact = relay[name]
            source = f"[{fact['read']}]({fact['source']})"
            yield f"| {label} | {placed(value_of(name, fact, language))} | {source} |"
    records = relay["records"]
    if records["value"]:
        yield from ("", words["paste" if records["made_by"] == "operator" else "own"], "", "```yaml")
        for row in records["value"]:
            name, content = (placed(row[key]).replace("*", "…") for key in ("name", "content"))
            line = f'  - {{type: {row["type"]}, name: "{name}", content: "{content}"}}'
            yield from [line] * row["count"]
        yield "```"


def page(language: str) -> str:
    """Return the whole document."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    sections = ["\n".join(section(relay, language)) for relay in table.values()]
    return "\n".join([WORDS[language]["head"], "\n\n".join(sections), ""])


def place(language: str) -> Path:
    """Return where the document of a language lies."""
    return TEMPLATE / "_docs" / language / "docs" / "relays.md"


if __name__ == "__main__":
    for each in WORDS:
        place(each).write_text(page(each), encoding="utf-8")
