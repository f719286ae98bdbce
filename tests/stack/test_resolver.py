"""The resolver of rspamd: whom it answers, what it believes, and which names it has from the engine."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)

# A question in the form of DNS over TCP for the text of health.invalid (RFC 1035, section 4).
QUESTION = r"\0\x20\0\1\1\0\0\1\0\0\0\0\0\0\6health\7invalid\0\0\x10\0\1"
# A domain with two names, signed; the address of one of them is changed afterwards. A second unbound with the
# settings of the first holds the domain and is told to trust its key.
SIGNED = """
set -e
rm -rf /tmp/zone && mkdir /tmp/zone && cd /tmp/zone
cat >zone <<END
signed.example. 60 IN SOA ns.signed.example. a.signed.example. 1 60 60 60 60
signed.example. 60 IN NS ns.signed.example.
ns.signed.example. 60 IN A 192.0.2.53
good.signed.example. 60 IN A 192.0.2.1
forged.signed.example. 60 IN A 192.0.2.2
END
key=$(ldns-keygen -a ECDSAP256SHA256 -k signed.example)
ldns-signzone zone "$key"
sed -i 's/192\\.0\\.2\\.2$/192.0.2.66/' zone.signed
cat >unbound.conf <<END
include: /etc/unbound/unbound.conf
server:
  port: 5300
  trust-anchor-file: /tmp/zone/$key.key
auth-zone:
  name: signed.example.
  zonefile: /tmp/zone/zone.signed
  for-downstream: no
END
unbound -d -p -c unbound.conf 2>log & asked=$!
trap 'kill $asked' EXIT
until grep -q 'start of service' log; do kill -0 $asked; done
drill -D -p 5300 NAME.signed.example @127.0.0.1
"""


def test_rspamd_reaches_it(stack):
    asked = f"exec 3<>/dev/tcp/unbound/53; printf '{QUESTION}' >&3; head -c 60 <&3 | grep -ac ok"
    assert stack.exec("rspamd", "bash", "-c", asked).strip() == "1"


@pytest.mark.parametrize("service", ["valkey", "clamav"])
def test_it_has_the_addresses_of_rspamds_services_from_the_engine(stack, service):
    addresses = {each["IPAddress"] for each in stack.inspect(service)["NetworkSettings"]["Networks"].values()}
    answer = set(stack.exec("unbound", "drill", "-Q", service, "@127.0.0.1").split())
    assert answer and answer <= addresses


def test_a_signed_answer_is_verified(stack):
    said = stack.exec("unbound", "sh", "-c", SIGNED.replace("NAME", "good"))
    assert "rcode: NOERROR" in said and " ad ;" in said and "192.0.2.1" in said


def test_a_forged_answer_is_an_error(stack):
    said = stack.exec("unbound", "sh", "-c", SIGNED.replace("NAME", "forged"))
    assert "rcode: SERVFAIL" in said and "192.0.2" not in said
