"""MAIL_CMP_016: segmented networks."""

from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.compose.shape import known, switch
from policies.model import Found
from policies.shared.located import mapping, sequence

MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


def check(subject: Project) -> Iterator[Found]:
    """Look at each service's networks, then at each network."""
    for service in subject.services.values():
        yield from _service(service)
    for name, node in subject.section("networks").items():
        yield from _network(subject, name, mapping(node))


def _service(service: Service) -> Iterator[Found]:
    """A service without networks is in the default one together with everything else."""
    policy = service.project.policy
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
    for name, value, place in service.entries("extra_hosts"):
        if name in service.project.services or "host-gateway" in map(str, sequence(value)):
            what = f"{name} leads to {', '.join(map(str, sequence(value)))}"
            yield Found(place, what, "no such entry", f"{service.name}/extra_hosts/{name}")


def _strangers(project: Project, name: str) -> list[str]:
    """Return the services that a network brings together although policy.yml keeps them apart."""
    rows = [set(row.get("members", ())) for row in project.policy.section("networks").values()]
    known_ones = set().union(*rows)
    members = {each.name for each in project.services.values() if name in mapping(each.get("networks"))}
    met = members & known_ones
    return [] if any(met <= row for row in rows) else sorted(met)


def _row(project: Project, name: str, inside: bool) -> str:
    """Return the row of a network that policy.yml does not have yet, or why it may be a way out."""
    out = {} if inside else {"way_out": "say here what needs the internet, and why"}
    if project.policy.section("networks", name):
        return project.policy.row("networks", name, "way_out", value=out["way_out"])
    members = [each.name for each in project.services.values() if name in mapping(each.get("networks"))]
    return project.policy.row("networks", name, value={"members": sorted(members), **out})


def _network(project: Project, name: str, node: dict) -> Iterator[Found]:
    policy, where, entity = project.policy, project.where("networks", name), f"networks/{name}"
    row, inside = policy.section("networks", name), switch(node.get("internal"))
    if not row and (met := _strangers(project, name)):
        what = f"the network {name} brings together {', '.join(met)}"
        yield Found(where, what, "a network of policy.yml", entity, _row(project, name, inside))
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
    elif not row.get("way_out") and not inside:
        what = f"the network {name} is a way out"
        yield Found(where, what, "internal: true", entity, _row(project, name, inside))
