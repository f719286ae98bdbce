"""Postfix's maps, asked before any canary's mail is sent: a wrong answer may lead it to people."""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

from mailctl.canaries.accounts import ALIAS, DOMAIN, FULL, OFF, REST
from mailctl.core.errors import Refused
from mailctl.core.runtime import Runtime

ASK = (
    'while [ $# -gt 1 ]; do map=/run/postfix/sql/$1; if [ -f "$map" ]; then'
    ' printf "%s\\t%s\\t%s\\n" "$1" "$2" "$(postmap -q "$2" "mysql:$map" 2>&1 | tr "\\n" " ")"; fi;'
    " shift 2; done"
)


def _expected(wanted: dict[str, Any]) -> dict[tuple[str, str], str]:
    """A pattern of the right answer for each map and key."""
    canary = re.escape(wanted["address"])
    return {
        ("domains.cf", DOMAIN): re.escape(DOMAIN),
        ("domains.cf", "elsewhere.test"): "",
        ("mailboxes.cf", wanted["address"]): canary,
        ("mailboxes.cf", OFF): "",
        ("mailboxes.cf", wanted["nobody"]): "",
        ("aliases.cf", ALIAS): canary,
        ("aliases.cf", f"@{REST}"): canary,
        ("aliases.cf", wanted["nobody"]): "",
        ("refused.cf", OFF): "[45].*",
        ("refused.cf", wanted["address"]): "",
        # Others may be allowed as well: never the canary as somebody else.
        ("sender_logins.cf", wanted["address"]): f"(?:.*,)?{canary}(?:,.*)?",
        ("sender_logins.cf", FULL): f"(?!.*{canary}).+",
    }


def ask(runtime: Runtime, wanted: dict[str, Any], limit: float) -> dict[str, Any]:
    """The canary's result. A map that cannot be asked yet is asked again, a wrong answer is certain."""
    began, pause, expected = time.monotonic(), threading.Event(), _expected(wanted)
    while True:
        try:
            words = ("sh", "-c", ASK, "sh", *(word for row in expected for word in row))
            answers = list(_answers(runtime.inside("postfix", words)))
            wrong = [row for row in answers if not re.fullmatch(expected[row[0], row[1]], row[2])]
            unasked = any("postmap: " in row[2] for row in wrong)
            said = "; ".join(f"{file} answers {answer!r} for {key}" for file, key, answer in wrong)
        except Refused as refusal:
            unasked, said = True, str(refusal)
        seconds = time.monotonic() - began
        if not said or not unasked or seconds > limit:
            detail = said or f"{len(answers)} questions to Postfix's maps are answered rightly"
            return {"ok": not said, "seconds": round(seconds, 2), "detail": detail[:300]}
        pause.wait(0.5)


def _answers(said: str) -> Iterator[tuple[str, str, str]]:
    for line in said.splitlines():
        file, _, rest = line.partition("\t")
        key, _, answer = rest.partition("\t")
        yield file, key, answer.strip()
