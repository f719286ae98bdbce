from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources import tables
from policies.sources.compose import Project, Service
from policies.sources.compose_shape import switch
from policies.sources.located import mapping

MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


class MAIL_CMP_016(ComposeRule):
    """Networks are the walls between the services: the web mail cannot reach the scanner, the tunnel not the
    database.

    A service in one network too many, or a network with a way out, lets whoever broke into one service go on
    to the next, or carry the mail away. Who may talk to whom is data, in policies/data/networks.yml.
    """

    name = (
        "Segmented networks: members as in policies/data/networks.yml, internal: true "
        "but for those with a way out"
    )
    severity = Severity.HIGH
    fix = "Take the service out of the network, or change policies/data/networks.yml in the same pull request"
    bad = "services:\n  nginx:\n    networks: [edge, data]\n"
    good = (
        "services:\n  nginx:\n    networks: [edge, web]\nnetworks:\n  edge: {internal: "
        "true}\n  web: {internal: true}\n"
    )

    def check(self, subject: Project) -> Iterator[Found]:
        """Look at each service's networks, then at each network."""
        for service in subject.services.values():
            yield from self.check_service(service)
        for name, node in subject.section("networks").items():
            yield from self._network(subject, name, mapping(node))

    def check_service(self, service: Service) -> Iterator[Found]:
        """A service without networks is in the default one together with everything else."""
        networks = mapping(service.get("networks"))
        if not networks and service.get("network_mode") is None:
            yield Found(
                service.where("networks"),
                "it is in the default network",
                "the networks that it needs",
                service.name,
            )
        for name in networks:
            row = tables.table("networks").get(str(name))
            if row is not None and service.name not in row["members"]:
                where = service.where("networks", name)
                yield Found(
                    where,
                    f"it is in the network {name}",
                    f"only {', '.join(row['members'])} are",
                    service.name,
                )
            if name == "default":
                yield Found(
                    service.where("networks", name),
                    "it is in the default network",
                    "the networks it needs",
                    service.name,
                )

    def _network(self, project: Project, name: str, node: dict) -> Iterator[Found]:
        row = tables.table("networks").get(name) or {}
        where = project.where("networks", name)
        if node.get("external"):
            yield Found(
                where, f"the network {name} is shared with other projects", "a network of this project", name
            )
        if node.get("driver", "bridge") != "bridge" or mapping(node.get("driver_opts")).get("parent"):
            yield Found(where, f"the network {name} has the driver {node.get('driver')}", "a bridge", name)
        if row.get("no_masquerade"):
            value = mapping(node.get("driver_opts")).get(MASQUERADE)
            if value is None or switch(value):
                yield Found(
                    where, f"the network {name} is a way out", f'driver_opts: {{{MASQUERADE}: "false"}}', name
                )
        elif not row.get("way_out") and not switch(node.get("internal")):
            yield Found(where, f"the network {name} is a way out", "internal: true", name)


check = MAIL_CMP_016()
