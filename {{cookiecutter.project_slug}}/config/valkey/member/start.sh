#!/bin/sh
# Starts one of the three members of Valkey, or one of the three sentinels that choose which of them writes.
# usage: start.sh server|sentinel
set -eu

password=$(sed -n 's/^requirepass //p' /run/secrets/valkey_auth)
tls='--tls --cacert /run/secrets/internal_ca_crt'
umask 077

# The member that writes, as the first sentinel says that answers.
chosen() {
  for n in 1 2 3; do
    # shellcheck disable=SC2086 # options
    found=$(REDISCLI_AUTH=$password timeout 3 valkey-cli -h "sentinel-$n" -p 26379 $tls SENTINEL GET-MASTER-ADDR-BY-NAME mail 2>/dev/null |
      sed -n '1p')
    case $found in valkey-[123]) echo "$found" && return ;; esac
  done
}

case $1 in
  server)
    # It must not begin as a second one that writes: who is told nothing follows the first.
    writer=$(chosen)
    {
      echo "include /etc/valkey/member/valkey.conf"
      echo "masterauth $password"
      echo "replica-announce-ip $MEMBER"
      [ "${writer:-valkey-1}" = "$MEMBER" ] || echo "replicaof ${writer:-valkey-1} 6379"
    } >/tmp/valkey.conf
    exec valkey-server /tmp/valkey.conf
    ;;
  sentinel)
    if [ ! -s /data/sentinel.conf ]; then
      {
        echo "port 0"
        echo "tls-port 26379"
        echo "tls-cert-file /run/secrets/valkey_tls_crt"
        echo "tls-key-file /run/secrets/valkey_tls_key"
        echo "tls-ca-cert-file /run/secrets/internal_ca_crt"
        echo "tls-auth-clients no"
        echo "tls-replication yes"
        echo "requirepass $password"
        echo "sentinel sentinel-pass $password"
        echo "sentinel resolve-hostnames yes"
        echo "sentinel announce-hostnames yes"
        echo "sentinel announce-ip $MEMBER"
        echo "sentinel announce-port 26379"
        echo "sentinel monitor mail valkey-1 6379 2"
        # Who copies is asked every ten seconds: one that is not known when the writer dies would go on asking the dead one.
        echo "sentinel known-replica mail valkey-2 6379"
        echo "sentinel known-replica mail valkey-3 6379"
        echo "sentinel auth-pass mail $password"
        echo "sentinel down-after-milliseconds mail 5000"
        echo "sentinel failover-timeout mail 20000"
      } >/data/sentinel.new
      mv /data/sentinel.new /data/sentinel.conf
    fi
    exec valkey-server /data/sentinel.conf --sentinel
    ;;
esac
