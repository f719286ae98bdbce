#!/bin/sh
# Takes a snapshot: the options are those of `mailctl backup --help`. Runs from any folder, as root.
repo=$(dirname "$(dirname "$(readlink -f "$0")")")
MAILCTL_REPO=$repo exec "$repo/.venv/bin/mailctl" backup "$@"
