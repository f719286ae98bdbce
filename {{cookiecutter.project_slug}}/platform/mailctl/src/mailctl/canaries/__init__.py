"""Does the mail server do its work? A mail, a virus, log-ins and both sites, through the whole path."""

from mailctl.canaries.run import NAMES, Canary, run

__all__ = ["NAMES", "Canary", "run"]
