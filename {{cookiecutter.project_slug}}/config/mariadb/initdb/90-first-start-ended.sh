#!/bin/sh
# The last one: the accounts and tables are there, and start.sh need not begin again.
set -eu

rm -f /var/lib/mysql/.first-start
