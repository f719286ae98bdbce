"""Destination addresses: whom Email Routing may forward to and the Worker may write to, once they agreed.

They belong to the account and carry no mark, so none is ever deleted.
https://developers.cloudflare.com/email-service/configuration/email-routing-addresses/#destination-addresses
"""

from collections.abc import Iterator

from mailctl.edge import plan
from mailctl.edge.cloud import ADDRESSES, ROUTING_PAGE, created, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

KIND = "destination address"
CONFIRMED = "confirmed"


def compare(session: Session) -> Iterator[Change | Note]:
    """Call before the rules and the Worker: who has confirmed is kept in `known`."""
    cloud, wanted = session.cloud, session.edge["email_routing"].get("destinations", [])
    if not wanted:
        return
    with explained("reading the destination addresses", ADDRESSES):
        listed = list(
            cloud.client.email_routing.addresses.list(account_id=cloud.account_id, per_page=ROUTING_PAGE)
        )
    verified = {str(entry.email).lower(): entry.verified is not None for entry in listed}
    cloud.known[CONFIRMED] = {address for address, is_verified in verified.items() if is_verified}
    for address in wanted:
        if address.lower() not in verified:
            yield _creation(session, address)
        elif not confirmed(session, address):
            text = f"waits for its confirmation: click the link in the mail to {address}"
            yield Note(plan.UNCONFIRMED, KIND, address, text, "then: make edge-apply")


def confirmed(session: Session, address: str) -> bool:
    """Whether Cloudflare lets mail go there; before that it refuses rules that forward to it (error 2054)."""
    return address.lower() in session.cloud.known.get(CONFIRMED, ())


def _creation(session: Session, address: str) -> Change:
    cloud = session.cloud
    once = cloud.once().email_routing.addresses
    run = lambda: created(lambda: once.create(account_id=cloud.account_id, email=address))  # noqa: E731
    after = {"confirmed": "asked by mail"}
    return Change(plan.DESTINATIONS, plan.CREATE, KIND, address, {}, after, ADDRESSES, run)
