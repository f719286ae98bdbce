#!/bin/sh
# Takes the place of the signature download, which needs the internet: brings the test database into the data folder.
# The configuration it is given must still be one that the real program accepts.
set -eu
configuration=/etc/clamav/freshclam.conf
daemon=
for argument; do
  case $argument in
    --config-file=*) configuration=${argument#*=} ;;
    --daemon | -d) daemon=yes ;;
  esac
done

/usr/lib/clamav-freshclam --config-file="$configuration" --version >/dev/null
folder=$(sed -n 's/^DatabaseDirectory[[:space:]]*//p' "$configuration")
folder=${folder:-/var/lib/clamav}
cp /usr/share/clamav-standin/standin.ndb "$folder/.standin.ndb.new"
mv "$folder/.standin.ndb.new" "$folder/standin.ndb"
echo "freshclam stand-in: the database in $folder holds one test signature, nothing is downloaded"
[ -z "$daemon" ] || exec tail -f /dev/null
