"""Rules about actions files, one a file; checkov wants this file to be here."""
