"""What usermgmt asks of the mail server itself: to end open sessions, and how full mailboxes are."""
