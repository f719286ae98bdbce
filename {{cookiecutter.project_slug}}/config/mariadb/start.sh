#!/bin/sh
# Starts MariaDB. A first start that was cut off begins again; used as the container's entry point.
set -eu

data=/var/lib/mysql
# Made before anything else is in the data folder.
mark=$data/.first-start

# The image only looks whether the folder `mysql` is there. Cut off half-way (a power failure, a disk so slow
# that it gives up), it would start with half of the accounts and tables, look healthy, and stay like that.
# With the mark nobody was ever served from this folder, so there is nothing in it to lose.
if [ -e "$mark" ]; then
  echo "start.sh: the first start did not come to its end; beginning it again with an empty folder"
  # The mark goes last, in case this is cut off as well: 90-first-start-ended.sh removes it.
  find "$data" -mindepth 1 ! -path "$mark" -delete
fi
[ -d "$data/mysql" ] || : >"$mark"

exec docker-entrypoint.sh "$@"
