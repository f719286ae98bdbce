"""Addresses outside that mail is forwarded to: Cloudflare asks their owners, usermgmt hears the state.

Cloudflare lets an account have 200 destination addresses, and a Worker forwards to confirmed ones only.
https://developers.cloudflare.com/email-service/platform/limits/
Those that were brought there for this, and that nobody forwards to any more, are deleted again; usermgmt
keeps which these are, for the addresses carry no mark. All others are somebody's.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailctl.core.errors import Problem, Refused
from mailctl.edge.cloud import ADDRESSES, ROUTING_PAGE, Cloud, created, explained

if TYPE_CHECKING:
    from mailctl.core.context import Context
    from mailctl.core.runtime import Runtime

MOST = 200
VERIFIED, WAITING = "verified", "waiting"


@dataclass
class Result:
    """What was done: the state of each wanted address, and why some could not be asked."""

    states: dict[str, str] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def bring(context: "Context", server: "Runtime") -> Result:
    """Bring Cloudflare in line with what is forwarded to, and tell usermgmt.

    Cloudflare is not asked while nobody forwards outside. Raises Refused: one of them cannot be asked.
    """
    from mailctl.core.runtime import as_json
    from mailctl.edge import cloud, desired
    from mailctl.edge.host import SecretFiles

    words = ["usermgmt", "destinations"]
    told: dict[str, list[str]] = as_json(server.inside("usermgmt", words))
    if not told["wanted"] and not told["ours"]:
        return Result()
    edge = desired.load(context.repo)
    connection = cloud.connect(context, SecretFiles.of(context), edge["zone"])
    kept = {each.lower() for each in edge["email_routing"].get("destinations", [])}
    result = _compare(connection, told["wanted"], set(told["ours"]), kept)
    server.inside("usermgmt", words, _document(result))
    return result


def _document(result: Result) -> str:
    import json

    return json.dumps({"states": result.states, "ours": sorted(result.ours)})


def _compare(cloud: Cloud, wanted: list[str], ours: set[str], kept: set[str]) -> Result:
    """Ask for what is missing, delete what is ours and unused; what fails is a problem, the rest goes on."""
    addresses = cloud.client.email_routing.addresses
    with explained("reading the destination addresses", ADDRESSES):
        listed = list(addresses.list(account_id=cloud.account_id, per_page=ROUTING_PAGE))
    there = {str(entry.email).lower(): entry for entry in listed}
    result = Result(ours=ours & there.keys())
    for address in sorted(result.ours - {each.lower() for each in wanted} - kept):
        if _try(result, f"deleting {address}", lambda each=address: _delete(cloud, there[each])):
            result.ours.discard(address)
            result.deleted.append(address)
            del there[address]
    for address in wanted:
        if address.lower() in there:
            verified = there[address.lower()].verified is not None
            result.states[address] = VERIFIED if verified else WAITING
        elif len(there) + len(result.asked) >= MOST:
            wrong = f"Cloudflare has {MOST} destination addresses of this account already, and takes no more"
            result.problems.append(Problem(address, wrong, "remove some that nobody needs"))
        elif _try(result, f"asking {address}", lambda each=address: _create(cloud, each)):
            result.asked.append(address)
            result.ours.add(address.lower())
            result.states[address] = WAITING
    return result


def _try(result: Result, what: str, work: Any) -> bool:
    try:
        with explained(what, ADDRESSES):
            work()
    except Refused as refusal:
        result.problems += refusal.problems
        return False
    return True


def _create(cloud: Cloud, address: str) -> None:
    once = cloud.once().email_routing.addresses
    created(lambda: once.create(account_id=cloud.account_id, email=address))


def _delete(cloud: Cloud, entry: Any) -> None:
    cloud.client.email_routing.addresses.delete(entry.id, account_id=cloud.account_id)
