"""People administer the mail accounts: domains, mailboxes and aliases, by web page or command line."""
