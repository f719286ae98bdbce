"""One mail that is deferred on purpose: `mailctl probe --retry` asks so whether senders really try again.

The address holds a mark that only a holder of an API token can make, so strangers defer nothing.
"""

import re

from mailserver_api.ledger import Ledger
from mailserver_api.problems import Problem
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Outcome, Verdict

#: mailctl-probe+retry-NONCE-MARK@domain; `retry_address` of mailctl/probe/send.py writes it.
_ADDRESS = re.compile(r"mailctl-probe\+retry-([0-9a-f]{12})-([0-9a-f]{24})@.+", re.IGNORECASE)


async def defer_first(recipient: str, tokens: Tokens, ledger: Ledger) -> None:
    """Raise Problem (503, temporary) at the first attempt for such an address, and remember when that was.

    The key in the ledger is `retry-NONCE`; mailctl reads the time of its row.
    """
    found = _ADDRESS.fullmatch(recipient.lower())
    if not found or not tokens.marked(f"retry-{found[1]}", found[2]):
        return
    key = f"retry-{found[1]}"
    if await ledger.find(key) is None:
        await ledger.record(key, Outcome(Verdict.TEMPORARY))
        raise Problem(Verdict.TEMPORARY, "Deferred on purpose: mailctl probe asks whether you try again.")
