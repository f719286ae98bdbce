#!/bin/sh
# Starts rspamd once what it needs is there. Used as the container's entry point.
set -eu

run=/run/rspamd
keys=/var/lib/rspamd/dkim

# rspamd resolves its servers when it starts and silently drops a scanner whose name is unknown then.
# After a reboot the engine starts all containers at once, so waiting here is what keeps mail scanned.
for name in $RSPAMD_NEEDS; do
  until getent hosts "$name" >/dev/null; do
    echo "rspamd: waiting until the name $name resolves"
    sleep 1
  done
done

umask 077
mkdir -p "$run" "$keys"
hash=$(rspamadm pw --encrypt --quiet --password "$(cat /run/secrets/rspamd_controller_password)")
printf 'password = "%s";\nenable_password = "%s";\n' "$hash" "$hash" >"$run/controller.inc"
printf 'password = "%s";\n' "$(cat /run/secrets/valkey_password)" >"$run/redis.inc"

#% if cookiecutter.scale == "swarm"
# The keys come from the other hosts, or are made when there are none (lua.local.d/dkim_share.lua).
/bin/sh /etc/rspamd/bin/beside "$$" &

#% else
/bin/sh /etc/rspamd/bin/dkim-key "$MAIL_DOMAIN" >/dev/null

#% endif
exec "$@"
