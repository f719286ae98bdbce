#!/bin/sh
# Uploads what is new of the snapshots to S3: the options are those of `mailctl sync --help`. Runs from any folder, as root.
repo=$(dirname "$(dirname "$(readlink -f "$0")")")
MAILCTL_REPO=$repo exec "$repo/.venv/bin/mailctl" sync "$@"
