"""Does the mail server do its work, and is there what was there? Tried through the whole path."""

from mailctl.canaries.accounts import address
from mailctl.canaries.run import patience, remember, run
from mailctl.canaries.table import NAMES, Canary

__all__ = ["NAMES", "Canary", "address", "patience", "remember", "run"]
