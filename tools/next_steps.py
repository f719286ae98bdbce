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
        "ses": f"RELAY_USERNAME, SENDGRID_API_KEY: log-in and password of SES in {answers['aws_region']}",
        "smtp": "RELAY_USERNAME, SENDGRID_API_KEY: log-in and password at your relay;"
        " its host stands in config/postfix/main.cf (relayhost)",
    }[str(answers["relay"])]


def _settings(answers: Mapping[str, object]) -> Step:
    """Say what to write into .env before the first start."""
    details = [
        "cp .env.example .env",
        _relay(answers),
        f"CLOUDFLARED_TOKEN: of a Cloudflare Tunnel that serves {answers['webmail_host']},"
        f" {answers['admin_host']} (both to http://nginx:80)"
        f" and {answers['api_host']} (to http://mailserver-api:8000); and COMPOSE_PROFILES=edge",
    ]
    if answers["client_access"] == "lan":
        details.append("LAN_ADDRESS: the address of this host on which mail programs reach 993, 465 and 587")
    return Step("Fill in .env, which never goes into git", tuple(details))


def _start(answers: Mapping[str, object], targets: frozenset[str]) -> Step:
    """Say how the stack starts on the host for the first time."""
    folders = f"mkdir -p {answers['ssd_path']}/mariadb {answers['hdd_path']}/{{mailboxes,daily,weekly}}"
    setup = ("make setup",) if "setup" in targets else ()
    start = (
        "docker compose config -q",
        "docker compose pull --ignore-buildable",
        "docker compose up -d --build",
    )
    return Step("Start it on the host", (folders, *setup, *start, "docker compose ps"))


def steps(project: Path, answers: Mapping[str, object], targets: frozenset[str]) -> list[Step]:
    """Return the steps for these answers; `targets` are those of the generated Makefile."""
    found = []
    trial = f"make -C {shlex.quote(str(project))} local"
    if "local" in targets:
        found.append(Step("Try it on this machine, without any account", (trial,)))
    if answers["mail_domain"] == "example.com":
        note = "write your answers into a file and run: make new ANSWERS=answers.yml OUT=somewhere"
        return [*found, Step("example.com is only for a trial: choose your own domain", (note,))]
    found.append(
        Step("Look around and keep it in git", (f"cd {shlex.quote(str(project))}", "git init && git add ."))
    )
    found += [_settings(answers), _start(answers, targets)]
    people = f"https://{answers['admin_host']}/ as {answers['admin_email']}"
    return [
        *found,
        Step(
            "Add people, who then read mail in the browser", (people, f"https://{answers['webmail_host']}/")
        ),
    ]


def plain(found: list[Step]) -> str:
    """Return the steps as numbered lines."""
    lines = []
    for number, step in enumerate(found, 1):
        lines += [f"{number}. {step.title}", *(f"     {detail}" for detail in step.details)]
    return "\n".join(lines)
