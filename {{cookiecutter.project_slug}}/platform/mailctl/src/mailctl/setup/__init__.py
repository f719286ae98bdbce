"""What must be there before the first start: `.env`, folders, secrets."""
