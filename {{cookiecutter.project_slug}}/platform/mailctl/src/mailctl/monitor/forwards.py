"""The condition of forwards outside: what failed, and whether Cloudflare can be asked about the addresses."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from mailctl.core.format import plain
from mailctl.monitor.facts import Facts, Finding

ASK = """import urllib.request as u
token = open('/run/secrets/mailserver_api_tokens').read().split()[0]
call = u.Request('http://127.0.0.1:8000/v1/forwards', headers={'Authorization': 'Bearer ' + token})
print(u.urlopen(call, timeout=8).read().decode())"""
# No fault of anybody: what waited at Cloudflare, what our own people wrote, what came back. The pages say so.
EXPECTED = {"spool", "own", "loop"}
RECENT_SECONDS, ASK_SECONDS, MOST_SHOWN = 3600, 120, 5


def forwards(facts: Facts) -> Iterator[Finding]:
    """What was not forwarded within the hour; usermgmt hears all of it, and of the addresses' state."""
    failed: list[dict[str, Any]] = json.loads(facts.inside("mailserver-api", "python", "-c", ASK))["failed"]
    facts.memory["forwards"] = failed
    recent = [
        each
        for each in failed
        if each["reason"] not in EXPECTED and facts.now - float(each["at"]) < RECENT_SECONDS
    ]
    for each in recent[:MOST_SHOWN]:
        text = f"mail to {each['recipient']} was not forwarded to {each['destination']}: {each['reason']}"
        yield Finding(plain(text)[:500], plain(each["destination"]))
    yield from _addresses(facts)


def _addresses(facts: Facts) -> Iterator[Finding]:
    """Bring new addresses to Cloudflare, in a process of its own: the SDK is large."""
    words = ["edge", "forwards", "--json", "--repo", str(facts.context.repo)]
    if facts.local:
        return
    done = subprocess.run(
        [sys.executable, "-m", "mailctl", *words], capture_output=True, timeout=ASK_SECONDS, check=False
    )
    said = json.loads(done.stdout)
    for problem in [*said.get("problems", []), *said.get("refused", [])]:
        yield Finding(plain(f"{problem['field']}: {problem['wrong']}")[:500], "addresses")
