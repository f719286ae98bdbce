"""What the folders of rules share."""
