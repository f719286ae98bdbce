"""Brings old mail, and the accounts of another mail server, here."""
