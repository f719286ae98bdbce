"""Which header fields rspamd signs with each relay: all of its own list but those that the relay rewrites."""

import re

import pytest

from tests.generation.repositories import COMBINATIONS
from tools import answers

FILE = "config/rspamd/local.d/dkim_signing.conf"
# rspamd 4.1 without the option (default_sign_headers in src/plugins/dkim_check.c).
DEFAULT = (
    "(o)from:(x)sender:(o)reply-to:(o)subject:(x)date:(x)message-id:(o)to:(o)cc:(x)mime-version:"
    "(x)content-type:(x)content-transfer-encoding:resent-to:resent-cc:resent-from:resent-sender:resent-message-id:"
    "(x)in-reply-to:(x)references:list-id:list-help:list-owner:list-unsubscribe:list-unsubscribe-post:"
    "list-subscribe:list-post:(x)openpgp:(x)autocrypt"
)
# Sources stand in the file. What another relay rewrites is not known.
LEFT_OUT = {"sendgrid": set(), "ses": {"(x)date", "(x)message-id"}, "smtp": {"(x)message-id"}}
NEVER = {"ses": {"message-id", "date", "return-path", "bounces-to"}}


def signed(root) -> list[str]:
    [fields] = re.findall(r'^sign_headers = "([^"]+)";$', (root / FILE).read_text(encoding="utf-8"), re.M)
    return fields.split(":")


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_signature_covers_rspamds_own_list_without_what_the_relay_rewrites(repositories, name):
    relay = answers.complete(COMBINATIONS[name])["relay"]
    fields = signed(repositories[name])
    assert fields == [field for field in DEFAULT.split(":") if field not in LEFT_OUT[relay]]
    assert not NEVER.get(relay, set()) & {re.sub(r"^\([ox]\)", "", field) for field in fields}


def test_every_relay_is_among_those_looked_at():
    assert {answers.complete(changes)["relay"] for changes in COMBINATIONS.values()} == set(LEFT_OUT)
