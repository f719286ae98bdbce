"""A stateful fake of the part of Cloudflare's API that mailctl uses; the real SDK talks to it over HTTP.

It is strict: a path, query or field that it does not know is an error and is remembered in `violations`.
By hand: `python -m fake_cloudflare --port 29080 --zone example.com` (needs only the standard library).
"""

from fake_cloudflare.server import FakeCloudflare
from fake_cloudflare.state import SCOPES, Refusal, State

__all__ = ["SCOPES", "FakeCloudflare", "Refusal", "State"]
