"""One table of relays: each fact has its source, and what is generated says the same as the table."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.generation.repositories import COMBINATIONS
from tests.relays import TABLE
from tools import answers, relay_docs

SCHEMA = json.loads((answers.ROOT / "schemas/relays.schema.json").read_text(encoding="utf-8"))
FACTS = [(relay, name) for relay, facts in TABLE.items() for name in facts if name != "title"]
# One repository a relay; ports with another kind of TLS beside the default.
OF_RELAYS = {relay: "defaults" if relay == "sendgrid" else f"relay={relay}" for relay in TABLE}
DOCUMENTS = answers.ROOT / "{{cookiecutter.project_slug}}" / "_docs"


def as_json(value: object) -> object:
    """Return YAML as JSON has it: dates and keys are text."""
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, datetime.date) else value


def text(root: Path, file: str) -> str:
    return (root / file).read_text(encoding="utf-8")


def test_the_table_fits_its_schema():
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(as_json(TABLE))] == []


@pytest.mark.parametrize(("relay", "name"), FACTS, ids=lambda each: each)
def test_each_fact_has_its_source_and_the_day_on_which_that_was_read(relay, name):
    fact = TABLE[relay][name]
    assert (
        fact["source"].startswith("https://") and fact["read"] <= datetime.datetime.now(datetime.UTC).date()
    )
    assert "value" in fact or {"en", "ja"} <= set(fact)


def test_the_table_has_a_row_for_each_answer():
    assert list(TABLE) == answers.questions()["relay"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_postfix_speaks_to_the_relay_as_the_table_says(repositories, name):
    given, root = answers.complete(COMBINATIONS[name]), repositories[name]
    facts, main = TABLE[given["relay"]], text(root, "config/postfix/main.cf")
    host, port = re.findall(r"(?m)^relayhost = \[(.+)\]:(\d+)$", main)[0]
    assert re.search(facts["host"].get("pattern", ""), host)
    mode = facts["ports"]["value"].get(int(port), "starttls")
    assert ("\nsmtp_tls_wrappermode = yes\n" in main) == (mode == "tls")
    sink = yaml.safe_load(text(root, "compose.local.yml"))["services"]["mailpit"]["environment"]
    assert sink["MP_SMTP_BIND_ADDR"].endswith(f":{port}")
    assert ("MP_SMTP_REQUIRE_TLS" in sink, "MP_SMTP_REQUIRE_STARTTLS" in sink) == (
        mode == "tls",
        mode != "tls",
    )


@pytest.mark.parametrize("relay", [relay for relay, facts in TABLE.items() if "pattern" in facts["host"]])
def test_the_default_host_user_name_and_port_are_the_tables(relay):
    given, facts = answers.context({"relay": relay}), TABLE[relay]
    assert given["relay_host"] == facts["host"]["value"].replace("{region}", str(given["aws_region"]))
    assert int(given["relay_port"]) == next(iter(facts["ports"]["value"]))
    assert given["__relay_username"] == facts["username"]["value"]


@pytest.mark.parametrize("relay", OF_RELAYS)
def test_the_spf_record_names_the_relay(repositories, relay):
    root = repositories[OF_RELAYS[relay]]
    records = yaml.safe_load(text(root, "edge/edge.yml"))["dns"]
    host = answers.complete({"relay": relay})["relay_host"]
    [spf] = [record["content"] for record in records if record["content"].startswith("v=spf1")]
    assert TABLE[relay]["spf"]["value"].replace("{host}", host) in spf.split()


@pytest.mark.parametrize("relay", OF_RELAYS)
def test_an_automatic_reply_keeps_its_sender_where_the_relay_refuses_the_null_sender(repositories, relay):
    lua = text(repositories[OF_RELAYS[relay]], "config/rspamd/lua.local.d/replies.lua")
    if TABLE[relay]["null_sender"]["value"] == "refused":
        assert 'change_from = "<>"' not in lua
    if TABLE[relay]["null_sender"]["value"] == "accepted":
        assert 'change_from = "<>"' in lua


def passes(rules: list[tuple[str, str]], line: str) -> bool:
    """What Postfix does with a header field: the first expression that matches says so."""
    return next(action for pattern, action in rules if re.search(pattern, line, re.IGNORECASE)) == "DUNNO"


def test_only_header_fields_that_cloudflare_accepts_leave(repositories):
    root = repositories[OF_RELAYS["cloudflare"]]
    assert "\nsmtp_header_checks = regexp:/etc/postfix/relay_header_checks\n" in text(
        root, "config/postfix/main.cf"
    )
    rules = re.findall(r"(?m)^/(.*)/ (\w+)$", text(root, "config/postfix/relay_header_checks"))
    accepted = TABLE["cloudflare"]["accepts"]["value"]
    assert [name for name in [*accepted, "X-Priority"] if not passes(rules, f"{name}: value")] == []
    strange = ["Autocrypt", "Sender", "Resent-From", "User-Agent", "Thread-Index", "Received-SPF", "To-Do"]
    assert [name for name in strange if passes(rules, f"{name}: value")] == []


@pytest.mark.parametrize("language", relay_docs.WORDS)
def test_the_document_of_the_relays_is_up_to_date(language):
    assert relay_docs.place(language).read_text(encoding="utf-8") == relay_docs.page(language), "make hooks"


def guided(language: str) -> Iterator[tuple[str, dict]]:
    """Yield the relay and each record that the first day shows as an example of what it wants."""
    page = (DOCUMENTS / language / "docs/start-here.md").read_text(encoding="utf-8")
    relay = ""
    for line in page.splitlines():
        if found := re.search(r'cookiecutter\.relay == "(\w+)"', line):
            relay = found[1]
        if line.startswith("  - {type:"):
            yield relay, yaml.safe_load(line.replace("{{ cookiecutter.mail_domain }}", "{domain}"))[0]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("relay", [r for r, f in TABLE.items() if f["records"]["made_by"] == "operator"])
def test_the_first_day_shows_the_records_that_the_table_knows(relay, language):
    shown = [record for name, record in guided(language) if name == relay]
    wanted = TABLE[relay]["records"]["value"]
    for row in wanted:
        fitting = [
            one
            for one in shown
            if one["type"] == row["type"]
            and fnmatchcase(one["name"], row["name"])
            and fnmatchcase(one["content"], row["content"])
        ]
        assert len(fitting) == row["count"], row
    assert len(shown) == sum(row["count"] for row in wanted)
