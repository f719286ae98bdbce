"""What a person does after `make new`, in order, with their own paths and host names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """One thing to do: why, and the commands or places that do it."""

    title: str
    details: tuple[str, ...] = ()


def _relay(answers: Mapping[str, object]) -> str:
    """Return which log-in of the relay goes into .env."""
    return {
        "sendgrid": "SENDGRID_API_KEY: a SendGrid API key that may send mail, and nothing else",
        "ses": f"RELAY_USERNAME, SENDGRID_API_KEY: SMTP user and password of SES in {answers['aws_region']}",
        "smtp": f"RELAY_USERNAME, SENDGRID_API_KEY: user name and password at {answers['relay_host']}",
    }[str(answers["relay"])]


def _settings(answers: Mapping[str, object]) -> Step:
    """Say what to write into .env before the first start."""
    details = [
        "cp .env.example .env",
        _relay(answers),
        "CLOUDFLARE_API_TOKEN: a token from Cloudflare's pages; the guide lists its permissions",
    ]
    if answers["client_access"] == "lan":
        details.append("LAN_ADDRESS: the address of this host on which mail programs reach 993, 465 and 587")
    return Step("On the host, fill in .env, which never goes into git", tuple(details))


def _start(answers: Mapping[str, object], targets: frozenset[str]) -> Step:
    """Say how the stack starts on the host for the first time."""
    folders = f"mkdir -p {answers['ssd_path']}/mariadb {answers['hdd_path']}/mailboxes"
    setup = ("make setup",) if "setup" in targets else ()
    start = ("docker compose pull", "docker compose build", "docker compose up -d --wait --wait-timeout 1200")
    return Step("Start it", (folders, *setup, *start))


def _people(domain: str) -> Step:
    """Say how the mailboxes are made: mail to an address that is unknown here goes back for good."""
    commands = (f".venv/bin/mailctl domain add {domain}", f".venv/bin/mailctl user add me@{domain}")
    return Step("Add people and their mailboxes, before Cloudflare hands mail over", commands)


def steps(project: Path, answers: Mapping[str, object], targets: frozenset[str]) -> list[Step]:
    """Return the steps for these answers; `targets` are those of the generated Makefile."""
    found = []
    trial = f"make -C {shlex.quote(str(project))} local"
    if "local" in targets:
        found.append(Step("Try it on this machine, without any account", (trial,)))
    if answers["mail_domain"] == "example.com":
        note = "write your answers into a file and run: make new ANSWERS=answers.yml OUT=somewhere"
        return [*found, Step("example.com is only for a trial: choose your own domain", (note,))]
    guide = f"{project / 'docs' / 'first-mail.md'}"
    found.append(Step("Read the guide, whose steps these are in short", (guide,)))
    found += [_settings(answers), _start(answers, targets), _people(str(answers["mail_domain"]))]
    if "edge-apply" in targets:
        tunnel = "put COMPOSE_PROFILES=edge into .env, then: docker compose up -d --wait"
        found.append(Step("Set up DNS, Email Routing and the tunnel", ("make edge-apply", tunnel)))
    admin = f"https://{answers['admin_host']}/ as {answers['admin_email']}"
    webmail = f"https://{answers['webmail_host']}/"
    return [*found, Step("Look after the accounts and read mail in the browser", (admin, webmail))]


def plain(found: list[Step]) -> str:
    """Return the steps as numbered lines."""
    lines = []
    for number, step in enumerate(found, 1):
        lines += [f"{number}. {step.title}", *(f"     {detail}" for detail in step.details)]
    return "\n".join(lines)
