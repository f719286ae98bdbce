#!/bin/sh
# Last step of the build: upstream's paths and file capabilities, then every other program goes, this one's too.
set -eu

for name in doveadm doveconf sievec sieve-dump sieve-filter sieve-test; do
  ln -s "/usr/bin/$name" "/dovecot/bin/$name"
done
ln -s /usr/sbin/dovecot /dovecot/sbin/dovecot
ln -s /usr/lib/dovecot /dovecot/libexec/dovecot
ln -s /usr/lib/dovecot /dovecot/lib/dovecot
for name in script-login imap-urlauth-login submission-login managesieve-login imap-login lmtp anvil; do
  setcap cap_sys_chroot+ep "/usr/lib/dovecot/$name"
done

doomed=
for file in /usr/bin/* /usr/sbin/* /usr/local/bin/* /usr/local/sbin/*; do
  case ${file##*/} in
    sh | dash | tini | nc | nc.traditional | dovecot | doveadm | doveconf | sievec | sieve-dump | sieve-filter | sieve-test) ;;
    *) doomed="$doomed $file" ;;
  esac
done
# shellcheck disable=SC2086
exec rm -f /tmp/finish.sh $doomed
