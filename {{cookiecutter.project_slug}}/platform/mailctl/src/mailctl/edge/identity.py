"""The public keys of Cloudflare Access, for the log-in by what it verified: fetched here, kept by usermgmt.

usermgmt has no way out to the internet. Access signs with another key every six weeks, and the one before
counts for a week more: https://developers.cloudflare.com/cloudflare-one/identity/users/validating-json
"""

import json
from typing import TYPE_CHECKING, Any

from mailctl.core.errors import Problem, Refused
from mailctl.edge.access import TEAM_DOMAIN

if TYPE_CHECKING:
    from mailctl.core.runtime import Runtime

SECONDS = 20.0


def hand_in_keys(server: "Runtime", edge: dict[str, Any]) -> bool:
    """Leave the team's keys in usermgmt; False where no application has an audience. Raises Refused."""
    if not any(application.get("audience") for application in edge["access"]["applications"]):
        return False
    issuer = f"https://{edge['access']['team']}{TEAM_DOMAIN}"
    words = ["usermgmt", "identity-keys", issuer, "--keys-stdin"]
    server.inside("usermgmt", words, json.dumps(_fetch(issuer)))
    return True


def _fetch(issuer: str) -> Any:
    import httpx

    url = f"{issuer}/cdn-cgi/access/certs"
    try:
        return httpx.get(url, timeout=SECONDS).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        fix = "is access.team of edge/edge.yml the team of this account? Else try again later"
        raise Refused(
            Problem("keys of Access", f"cannot be fetched: {str(error).splitlines()[0]}", fix, value=url)
        ) from None
