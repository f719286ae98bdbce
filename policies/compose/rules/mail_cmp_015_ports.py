import ipaddress
import re
from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Place, Severity
from policies.shared import tables
from policies.shared.located import mapping

LAN = "${LAN_ADDRESS}"
WRITTEN = re.compile(r"\$\{?LAN_ADDRESS\b")


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class MAIL_CMP_015(ComposeRule):
    """The server has no open port: mail and browsers come in through the tunnel.

    A published port without an address listens on every one of them, the public one included, and Docker
    opens it past the host's firewall. The few ports for mail clients on the LAN are data, in
    policies/data/ports.yml.
    """

    name = (
        "No published port but those of policies/data/ports.yml, never on every address: "
        'write "${LAN_ADDRESS}:993:31993"'
    )
    severity = Severity.CRITICAL
    fix = (
        "Remove the port: the tunnel reaches every service by its name; or bind it to "
        "LAN_ADDRESS or 127.0.0.1"
    )
    bad = 'services:\n  mariadb:\n    ports: ["3306:3306"]\n'
    good = 'services:\n  dovecot:\n    ports: ["${LAN_ADDRESS:?}:993:31993"]\n'

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at address and port of each."""
        rules = tables.table("ports")
        for item, place in service.items("ports"):
            port = mapping(item)
            address, published = str(port.get("host_ip", "")), str(port.get("published", ""))
            # Whatever the example says: on the server this is the address that mail clients connect to.
            if _loopback(address) and self._names_the_lan(service, place):
                address = LAN
            if _loopback(address):
                allowed = service.name in rules["loopback"]
            elif address == LAN:
                inside = {
                    str(outer): str(inner) for outer, inner in rules["lan"].get(service.name, {}).items()
                }
                allowed = inside.get(published) == str(port.get("target"))
            else:
                where = f"the address {address}" if address else "every address"
                should = "an address in front: ${LAN_ADDRESS} or 127.0.0.1"
                yield Found(
                    place,
                    f"port {published or port.get('target')} is published on {where}",
                    should,
                    service.name,
                )
                continue
            if not allowed:
                what = f"port {published or port.get('target')} is published, and not on the list"
                yield Found(place, what, "no port, or one of policies/data/ports.yml", service.name)

    def _names_the_lan(self, service: Service, place: Place) -> bool:
        repository = service.project.repository
        lines = repository.text(place.file).splitlines() if repository else []
        return place.line <= len(lines) and bool(WRITTEN.search(lines[place.line - 1]))


check = MAIL_CMP_015()
