#!/bin/sh
# Last step of the build: upstream's paths and file capabilities, then every other program goes, this one's too.
set -eu

# Scripts find these on PATH or in upstream's folder, nowhere else.
for name in doveadm sievec sieve-dump sieve-filter sieve-test; do
  mv "/usr/bin/$name" "/dovecot/bin/$name"
done
mv /usr/sbin/dovecot /dovecot/sbin/dovecot
# Debian's build has the places of these compiled in.
ln -s /usr/bin/doveconf /dovecot/bin/doveconf
ln -s /usr/lib/dovecot /dovecot/libexec/dovecot
ln -s /usr/lib/dovecot /dovecot/lib/dovecot
for name in script-login imap-urlauth-login submission-login managesieve-login imap-login lmtp anvil; do
  setcap cap_sys_chroot+ep "/usr/lib/dovecot/$name"
done

doomed=
for file in /usr/bin/* /usr/sbin/* /usr/local/bin/* /usr/local/sbin/*; do
  case ${file##*/} in
    sh | dash | tini | nc | nc.traditional | doveconf) ;;
    *) doomed="$doomed $file" ;;
  esac
done
# shellcheck disable=SC2086
exec rm -f /tmp/finish.sh $doomed
