"""The mail of mailboxes that were deleted over 30 days ago, removed."""
