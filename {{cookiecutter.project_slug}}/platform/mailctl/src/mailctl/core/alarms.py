"""Alarms that leave the host by themselves, past our own Postfix: to the URLs in the secret file alarm_urls.

What a URL may be: https://github.com/caronc/apprise#supported-notifications
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mailctl.core.context import Context
from mailctl.core.folders import secrets

FILE = "alarm_urls"


@dataclass(frozen=True)
class Way:
    """What came of one URL; `name` shows it without what is secret in it, `said` why it failed."""

    name: str
    sent: bool
    said: str = ""


def urls(context: Context) -> list[str]:
    """One a line; empty lines and comments do not count. None where the file is missing or closed to us."""
    try:
        lines = (secrets(context) / FILE).read_text("utf-8").split("\n")
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def send(to: Sequence[str], subject: str, text: str) -> list[Way]:
    """Try each URL once; apprise gives each a few seconds. Loads apprise, which takes a moment."""
    import apprise

    ways = []
    for number, url in enumerate(to, 1):
        service: Any = apprise.Apprise.instantiate(url)
        if not service:
            said = "apprise knows no such URL: https://github.com/caronc/apprise#supported-notifications"
            ways.append(Way(f"line {number} of {FILE} ({url.partition(':')[0][:20]})", False, said))
            continue
        sender: Any = apprise.Apprise()
        sender.add(service)
        capture: Any = apprise.LogCapture
        with capture(level=logging.WARNING, fmt="%(message)s") as heard:
            sent = bool(sender.notify(title=subject, body=text))
            said = "" if sent else " ".join(heard.getvalue().split())[:300] or "not taken"
        ways.append(Way(service.url(privacy=True).partition("?")[0], sent, said))
    return ways


def worker_mails(context: Context) -> str:
    """The address that the Worker mails alarms to, by edge/edge.yml; "" where that is off."""
    import yaml

    try:
        edge = yaml.safe_load((context.repo / "edge/edge.yml").read_text("utf-8"))
        return str(edge["worker"]["alarms"]["to"])
    except (OSError, yaml.YAMLError, LookupError, TypeError):
        return ""
