#!/bin/sh
# Starts a store, only where the mail of its shard is: on an empty disk, or on one that is not mounted, people would see an
# empty mailbox, and mail would be delivered beside what is missing. `mailctl node add` writes the mark. The image has no
# tools but a shell.
set -eu

mark=/srv/vmail/.shard
held=
[ ! -e "$mark" ] || read -r held <"$mark" || [ -n "$held" ]
if [ "$held" != "$SHARD" ]; then
  echo "start-store: this disk holds the mail of shard '$held', not of '$SHARD' ($mark): is it mounted? If this host" \
    "shall begin with an empty one, run there: mailctl node add" >&2
  exit 78
fi
exec "$@"
