"""Lets `python -m mailctl` do what the installed command does."""

from mailctl.cli import main

main()
