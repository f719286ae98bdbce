#!/bin/sh
# Restores a snapshot, or a part of one: the options are those of `mailctl restore --help`. Runs from any folder, as root.
repo=$(dirname "$(dirname "$(readlink -f "$0")")")
MAILCTL_REPO=$repo exec "$repo/.venv/bin/mailctl" restore "$@"
