#!/bin/sh
# Gives Debian's configuration the variables of upstream's: RSPAMD_X is {= env.X =} in a template.
set -eu
configuration=/etc/rspamd/rspamd.conf

for pair in NORMAL:11333 CONTROLLER:11334 PROXY:11332 FUZZY:11335; do
  name=${pair%:*} port=${pair#*:}
  sed -i "s/\"localhost:$port\"/\"{= env.LOCAL_ADDR|default('localhost') =}:{= env.PORT_$name|default('$port') =}\"/" \
    "$configuration"
done
sed -i 's/type = "file";/type = "{= env.LOG_TYPE|default('"'file'"') =}";/' "$configuration"

if [ "$(grep -c 'env\.PORT_' "$configuration")" != 4 ] || ! grep -q 'env\.LOG_TYPE' "$configuration"; then
  echo "the package's $configuration has changed: adapt.sh must follow" >&2
  exit 1
fi

# Upstream keeps the shipped defaults here and only local settings in /etc/rspamd.
ln -s /etc/rspamd /usr/share/rspamd/config
# Nothing but bash may be at hand for probes and scripts.
rm -f /usr/bin/curl /usr/bin/wget /usr/bin/nc /usr/bin/perl
