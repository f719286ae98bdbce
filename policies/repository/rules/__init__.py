"""Rules about repository files, one a file; checkov wants this file to be here."""
