"""Rules about configuration files, one a file; checkov wants this file to be here."""
