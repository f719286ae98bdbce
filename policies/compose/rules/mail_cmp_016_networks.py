from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables
from policies.shared.located import mapping, sequence
from policies.shared.shape import known, switch

MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
GATEWAY = "com.docker.network.bridge.gateway_mode_"
#: Networks that the engine makes for itself.
ENGINES = ("host", "bridge", "none")


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
        yield from self._hosts(service)
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
            yield from self._names(service, str(name))
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

    def _names(self, service: Service, network: str) -> Iterator[Found]:
        """A name that belongs to another service leads its visitors, and their passwords, here."""
        others = set(service.project.services) - {service.name}
        for number, alias in enumerate(sequence(service.get("networks", network, "aliases"))):
            if str(alias) in others:
                where = service.where("networks", network, "aliases", number)
                yield Found(
                    where, f"it answers for {alias} in {network}", "an alias of its own", service.name
                )

    def _hosts(self, service: Service) -> Iterator[Found]:
        if service.get("container_name") in set(service.project.services) - {service.name}:
            where = service.where("container_name")
            what = f"it answers for {service.get('container_name')}"
            yield Found(where, what, "leave container_name out", service.name)
        for name, value, place in service.entries("extra_hosts"):
            addresses = [str(each) for each in sequence(value)]
            if name in service.project.services:
                yield Found(
                    place, f"{name} leads to {', '.join(addresses)}", "no entry for a service", service.name
                )
            elif "host-gateway" in addresses:
                yield Found(place, f"{name} leads to the host", "leave it out", service.name)

    def _unlisted(self, project: Project, name: str) -> Iterator[Found]:
        """A network that the table does not know must bring nobody together whom the table keeps apart."""
        rows = [set(row["members"]) for row in tables.table("networks").values()]
        known = set().union(*rows)
        members = [each for each in project.services.values() if name in mapping(each.get("networks"))]
        for service in members:
            friends = set().union(*(row for row in rows if service.name in row))
            met = [each.name for each in members if each.name in known - friends and service.name in known]
            if met:
                what = f"it meets {', '.join(met)} in the network {name}"
                yield Found(service.where("networks", name), what, "a network of the table", service.name)

    def _network(self, project: Project, name: str, node: dict) -> Iterator[Found]:
        row = tables.table("networks").get(name) or {}
        if not row:
            yield from self._unlisted(project, name)
        where = project.where("networks", name)
        # Compose takes a mapping with a name as well.
        if node.get("external") is not None and known(node["external"]) is not False:
            yield Found(
                where, f"the network {name} is shared with other projects", "a network of this project", name
            )
        if node.get("driver", "bridge") != "bridge" or mapping(node.get("driver_opts")).get("parent"):
            yield Found(where, f"the network {name} has the driver {node.get('driver')}", "a bridge", name)
        twins = [
            other
            for other, each in project.section("networks").items()
            if other != name and node.get("name") and mapping(each).get("name") == node["name"]
        ]
        if twins or node.get("name") in ENGINES:
            what = f"the network {name} is also {', '.join(twins) or 'one of the engine'}"
            yield Found(project.where("networks", name, "name"), what, "leave name out", name)
        for option, value in mapping(node.get("driver_opts")).items():
            if str(option).startswith(GATEWAY) and value in ("routed", "nat-unprotected"):
                where = project.where("networks", name, "driver_opts", option)
                yield Found(where, f"the network {name} can be reached from outside", "leave it out", name)
        if row.get("no_masquerade"):
            value = mapping(node.get("driver_opts")).get(MASQUERADE)
            if value is None or switch(value):
                yield Found(
                    where, f"the network {name} is a way out", f'driver_opts: {{{MASQUERADE}: "false"}}', name
                )
        elif not row.get("way_out") and not switch(node.get("internal")):
            yield Found(where, f"the network {name} is a way out", "internal: true", name)


check = MAIL_CMP_016()
