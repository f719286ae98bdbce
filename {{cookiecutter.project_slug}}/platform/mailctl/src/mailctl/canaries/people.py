"""A sample of people's mailboxes, before and after: what they have cannot start again from nothing."""

import random
import re
import secrets
from collections import Counter
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.core.runtime import Runtime

#: The canaries' own domain, reserved (RFC 6761): no mail for it comes from outside.
DOMAIN = "mailctl-canary.test"
MOST = 20
# A person may well delete a few mails meanwhile, never all of so many.
MANY = 10
ASK = (
    'for user in "$@"; do printf "%s %s\\n" "$user"'
    ' "$(doveadm -f flow mailbox status -u "$user" "uidvalidity uidnext messages" INBOX 2>/dev/null)"; done'
)
Status = dict[str, dict[str, int]]


def status(runtime: Runtime, users: list[str]) -> Status:
    """UIDVALIDITY, UIDNEXT and number of mails of each INBOX; without those that Dovecot does not find."""
    said = runtime.inside("dovecot", ("sh", "-c", ASK, "sh", *users), limit=120)
    found: Status = {}
    for line in said.splitlines():
        user, _, rest = line.partition(" ")
        facts = {
            name: int(number) for name, number in re.findall(r"(uidvalidity|uidnext|messages)=(\d+)", rest)
        }
        if len(facts) == 3:
            found[user] = facts
    return found


def sample(runtime: Runtime) -> dict[str, Any]:
    """The mailboxes of this run's sample as they are now; `seed` chooses it again. Raises Refused."""
    listed = runtime.inside("dovecot", ("doveadm", "user", "*")).split()
    users = sorted(user for user in listed if not user.endswith(DOMAIN))
    if not users:
        return {"seed": "", "mailboxes": {}}
    largest = Counter(user.partition("@")[2] for user in users).most_common(1)[0][0]
    first = next(user for user in users if user.endswith(f"@{largest}"))
    others, seed = [user for user in users if user != first], secrets.token_hex(4)
    chosen = random.Random(seed).sample(others, min(MOST - 1, len(others)))  # noqa: S311 (a sample)
    return {"seed": seed, "mailboxes": status(runtime, [first, *chosen])}


def compare(runtime: Runtime, past: dict[str, Any]) -> str:
    """What was compared, in words. Raises Refused with what is wrong."""
    before: Status = past["mailboxes"]
    now = status(runtime, list(before)) if before else {}
    wrong = [f"{user}: {said}" for user, old in before.items() if (said := _wrong(old, now.get(user)))]
    if wrong:
        shown = "; ".join(wrong[:3])
        raise Refused(
            Problem("mailboxes", f"{len(wrong)} of {len(before)} are not as they were: {shown}", "make logs")
        )
    return f"{len(before)} mailboxes are as they were (sample {past['seed'] or 'of none'})"


def _wrong(old: dict[str, int], new: dict[str, int] | None) -> str:
    if new is None:
        return "Dovecot does not find it"
    if new["uidvalidity"] != old["uidvalidity"]:
        return f"UIDVALIDITY {old['uidvalidity']} is now {new['uidvalidity']}"
    if new["uidnext"] < old["uidnext"]:
        return f"UIDNEXT fell from {old['uidnext']} to {new['uidnext']}"
    if old["messages"] >= MANY and not new["messages"]:
        return f"its {old['messages']} mails are gone"
    return ""
