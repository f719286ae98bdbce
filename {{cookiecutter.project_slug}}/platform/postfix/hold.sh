#!/bin/sh
# A deployment begins to hold mail, or ends it: read the table of /run/hold again (header_checks in main.cf), and let the mails
# end that are being received with the old one, for at most 30 seconds. What takes longer is put on hold, or released, as soon
# as it is complete: until then its file cannot be executed.
set -eu

cd /var/spool/postfix/incoming
cp /run/hold/postfix/header_checks /run/postfix/hold 2>/dev/null || : >/run/postfix/hold
postfix reload
begun=$(find . -type f ! -perm -0100)
n=0
while [ -n "$begun" ] && [ "$n" -lt 60 ]; do
  sleep 0.5
  n=$((n + 1))
  # shellcheck disable=SC2086 # names of queue files, without blanks
  begun=$(find $begun -maxdepth 0 ! -perm -0100 2>/dev/null || true)
done
for one in $begun; do
  (
    while [ -e "$one" ]; do sleep 0.2; done
    if [ -s /run/postfix/hold ]; then to=-h; else to=-H; fi
    postsuper "$to" "${one##*/}"
  ) </dev/null >/dev/null 2>&1 &
done
