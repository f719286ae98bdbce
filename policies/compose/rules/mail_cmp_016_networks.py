from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping, sequence
from policies.shared.shape import known, switch

MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


class MAIL_CMP_016(ComposeRule):
    """Networks are the walls between the services: the webmail cannot reach the scanner, the tunnel not the
    database.

    A service in one network too many, or a network with a way out, lets whoever broke into one service go on
    to the next, or carry the mail away. Who may talk to whom is data, in policy.yml.
    """

    name = "Segmented networks: members as in policy.yml, internal: true but for those with a way out"
    severity = Severity.HIGH
    fix = "Take the service out of the network, or paste the row into policy.yml in the same pull request"
    bad = "services:\n  nginx:\n    networks: [edge, data]\n"
    good = (
        "services:\n  nginx:\n    networks: [edge, web]\nnetworks:\n  edge: {internal: "
        "true}\n  web: {internal: true}\n"
    )

    def check(self, subject: Project) -> Iterator[Found]:
        """Look at each service's networks, then at each network."""
        for service in subject.services.values():
            yield from self._service(service)
        for name, node in subject.section("networks").items():
            yield from self._network(subject, name, mapping(node))

    def _service(self, service: Service) -> Iterator[Found]:
        """A service without networks is in the default one together with everything else."""
        policy, others = service.project.policy, set(service.project.services) - {service.name}
        networks = mapping(service.get("networks"))
        if (not networks and service.get("network_mode") is None) or "default" in networks:
            where, should = service.where("networks"), "the networks that it needs"
            yield Found(where, "it is in the default network", should, f"{service.name}/networks/default")
        for name in map(str, networks):
            where, entity = service.where("networks", name), f"{service.name}/networks/{name}"
            row = policy.section("networks", name)
            if row and service.name not in row.get("members", ()):
                should = f"only {', '.join(row.get('members', ()))} are"
                suggested = policy.row("networks", name, "members", value=service.name)
                yield Found(where, f"it is in the network {name}", should, entity, suggested)
            for alias in map(str, sequence(service.get("networks", name, "aliases"))):
                if alias in others:
                    yield Found(where, f"it answers for {alias} in {name}", "an alias of its own", entity)
        for name, value, place in service.entries("extra_hosts"):
            if name in service.project.services or "host-gateway" in map(str, sequence(value)):
                what = f"{name} leads to {', '.join(map(str, sequence(value)))}"
                yield Found(place, what, "leave it out", f"{service.name}/extra_hosts/{name}")

    def _strangers(self, project: Project, name: str) -> list[str]:
        """Return the services that a network brings together although policy.yml keeps them apart."""
        rows = [set(row.get("members", ())) for row in project.policy.section("networks").values()]
        known_ones = set().union(*rows)
        members = {each.name for each in project.services.values() if name in mapping(each.get("networks"))}
        met = members & known_ones
        return [] if any(met <= row for row in rows) else sorted(met)

    def _network(self, project: Project, name: str, node: dict) -> Iterator[Found]:
        policy, where, entity = project.policy, project.where("networks", name), f"networks/{name}"
        row = policy.section("networks", name)
        if not row and (met := self._strangers(project, name)):
            what = f"the network {name} brings together {', '.join(met)}"
            suggested = policy.row("networks", name, value={"members": met})
            yield Found(where, what, "a network of policy.yml", entity, suggested)
        # Compose takes a mapping with a name as well.
        if node.get("external") is not None and known(node["external"]) is not False:
            what = f"the network {name} is shared with other projects"
            yield Found(where, what, "a network of this project", f"{entity}/external")
        if node.get("driver", "bridge") != "bridge":
            what = f"the network {name} has the driver {node.get('driver')}"
            yield Found(where, what, "a bridge", f"{entity}/driver")
        masquerades = mapping(node.get("driver_opts")).get(MASQUERADE)
        if row.get("no_masquerade"):
            if masquerades is None or switch(masquerades):
                should = f'driver_opts: {{{MASQUERADE}: "false"}}'
                yield Found(where, f"the network {name} is a way out", should, entity)
        elif not row.get("way_out") and not switch(node.get("internal")):
            suggested = policy.row(
                "networks", name, "way_out", value="say here what needs the internet, and why"
            )
            yield Found(where, f"the network {name} is a way out", "internal: true", entity, suggested)


check = MAIL_CMP_016()
