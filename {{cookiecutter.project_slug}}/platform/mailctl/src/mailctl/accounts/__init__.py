"""People's accounts: users, domains and aliases by the JSON API of usermgmt, and the first administrator."""

#: What others may import of this folder (tests/test_borders.py).
PUBLIC = ("api",)
