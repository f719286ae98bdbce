"""The relay's key, which the provider makes: tried at the relay itself before Postfix gets it."""

from dataclasses import replace

from mailctl.core import relays
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.relay_login import log_in


def try_key(context: Context, key: str) -> None:
    """Log in to the relay as Postfix does. Raises Refused: the old key is still in use."""
    try:
        log_in(context, relays.configured(context.repo), key)
    except Refused as refusal:
        problems = [replace(one, fix=f"{one.fix}; the old key is still in use") for one in refusal.problems]
        raise Refused(*problems) from None
