#!/bin/sh
# Scans a snapshot for viruses: the options are those of `mailctl scan --help`. Runs from any folder, as root.
repo=$(dirname "$(dirname "$(readlink -f "$0")")")
MAILCTL_REPO=$repo exec "$repo/.venv/bin/mailctl" scan "$@"
