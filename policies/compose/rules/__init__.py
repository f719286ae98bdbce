"""Rules about compose files, one a file; checkov wants this file to be here."""
