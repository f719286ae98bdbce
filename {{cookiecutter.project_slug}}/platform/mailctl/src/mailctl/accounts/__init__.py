"""People's accounts: users, domains and aliases by the JSON API of usermgmt, and the first administrator."""
