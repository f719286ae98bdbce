"""MAIL_CMP_015: no published port but those of policy.yml, never on every address."""

import ipaddress
import re
from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.model import Found
from policies.shared.located import mapping

#: How the address for mail programs is written, whatever the example says that it is.
LAN = re.compile(r"\$\{?LAN_ADDRESS\b")
#: Addresses that are all of them.
EVERY = ("", "0.0.0.0", "::")  # noqa: S104


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def check(subject: Project) -> Iterator[Found]:
    """Look at each service."""
    for service in subject.services.values():
        yield from _service(service)


def _service(service: Service) -> Iterator[Found]:
    """Look at address and port of each."""
    policy = service.project.policy
    for item, place in service.items("ports"):
        port = mapping(item)
        address, target = str(port.get("host_ip") or ""), str(port.get("target"))
        published = str(port.get("published") or target)
        entity, row = f"{service.name}/ports/{published}", ""
        lan = policy.section("ports", "lan", service.name)
        # A default may leave the variable empty, and that is every address.
        if address not in EVERY and LAN.search(service.project.written(place) + address):
            allowed = {str(outer): str(inner) for outer, inner in lan.items()}.get(published) == target
            # A range of ports is no row: each is a decision of its own.
            if not allowed and published.isdigit() and target.isdigit():
                row = policy.row("ports", "lan", service.name, int(published), value=int(target))
        elif _loopback(address):
            allowed = service.name in policy.values("ports", "loopback")
            row = "" if allowed else policy.entry("ports", "loopback", value=service.name)
        else:
            on = f"the address {address}" if address else "every address"
            what = f"port {published} is published on {on}"
            yield Found(place, what, "an address in front: ${LAN_ADDRESS} or 127.0.0.1", entity)
            continue
        if not allowed:
            what = f"port {published} is published, and not in policy.yml"
            yield Found(place, what, "no port, or one of policy.yml", entity, row)
