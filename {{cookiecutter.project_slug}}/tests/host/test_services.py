"""The services run, as the repository says."""

import json
import shlex

MIB = 1 << 20


def limits(inspected):
    """What the engine holds a container to: CPUs, bytes of memory, processes."""
    host = inspected["HostConfig"]
    return host["NanoCpus"] / 1e9, host["Memory"], host["PidsLimit"] or 0


def wanted_limits(service):
    found = service["deploy"]["resources"]["limits"]
    return float(found["cpus"]), int(found["memory"]), int(found["pids"])


def test_every_service_is_healthy(server):
    """A service that is down delays mail, or lets it through unchecked."""
    states = {name: server.health(name) for name in server.services}
    assert {name: state for name, state in states.items() if state != "healthy"} == {}


def test_nothing_else_runs_in_the_project(server):
    """What no file of git describes was started by hand, or was left behind."""
    assert sorted(server.containers.keys() - server.services.keys()) == []


def test_every_container_runs_the_image_that_git_names(server):
    """The name holds the digest; an image that was tagged or built again since is another one."""
    images = {name: one.get("image", f"{server.project}-{name}") for name, one in server.services.items()}
    words = " ".join(dict.fromkeys(images.values()))
    lines = server.run(f"docker image inspect --format '{{{{.Id}}}}' {words}").split()
    ids = dict(zip(dict.fromkeys(images.values()), lines, strict=True))
    other = {
        name: f"{one['Config']['Image']} {one['Image'][:19]}"
        for name, one in server.containers.items()
        if name in images and one["Image"] != ids[images[name]]
    }
    assert other == {}


def test_every_container_is_as_compose_would_make_it(server):
    """Settings that changed since the start act at the next one: mounts, environment, logs, capabilities."""
    hashes = [_hashes(server, server.compose), _hashes(server, _without_order(server.compose))]
    label = "com.docker.compose.config-hash"
    found = {name: one["Config"]["Labels"].get(label) for name, one in server.containers.items()}
    names = sorted(found.keys() & hashes[0].keys())
    assert [name for name in names if found[name] not in [each[name] for each in hashes]] == []


def _hashes(server, compose):
    """What compose calls a change: a hash of each service's settings."""
    words = f"printf %s {shlex.quote(json.dumps(compose))}"
    lines = server.run(
        f"{words} | docker compose --project-directory . --file - config --hash '*'"
    ).splitlines()
    return dict(line.split() for line in lines)


def _without_order(compose):
    """`up --no-deps` counts the settings without depends_on, which the container itself does not have."""
    services = {
        k: {n: v for n, v in one.items() if n != "depends_on"} for k, one in compose["services"].items()
    }
    return {**compose, "services": services}


def test_every_container_keeps_its_limits(server, figure):
    """`docker update` changes them without a trace in the repository."""
    wanted = {name: wanted_limits(one) for name, one in server.services.items()}
    found = {name: limits(server.containers[name]) for name in wanted if name in server.containers}
    lines = server.run("docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'").splitlines()
    used = {line.split()[0]: line.split()[1] for line in lines}
    for name, inspected in server.containers.items():
        usage = _bytes(used.get(inspected["Name"].lstrip("/"), "0B"))
        figure("Memory", name, round(usage / MIB), round(inspected["HostConfig"]["Memory"] / MIB), "MiB")
    assert {name: one for name, one in found.items() if one != wanted[name]} == {}


def test_every_container_starts_again_by_itself(server):
    """After a crash or a restart of the host nobody types."""
    found = {name: one["HostConfig"]["RestartPolicy"]["Name"] for name, one in server.containers.items()}
    assert {
        name: word for name, word in found.items() if name in server.services and word != "unless-stopped"
    } == {}


def test_every_network_has_the_members_of_the_repository(server):
    """A container in one network too many reaches, or is reached by, what it should not."""
    wrong = {}
    for name, one in server.containers.items():
        nets = {n.removeprefix(f"{server.project}_") for n in one["NetworkSettings"]["Networks"]}
        wanted = set(server.services.get(name, {}).get("networks", nets))
        if nets != wanted:
            wrong[name] = sorted(nets ^ wanted)
    assert wrong == {}


def test_networks_without_a_way_out_have_none(server):
    """Only `egress` reaches the internet."""
    wanted = {one["name"] for one in server.compose["networks"].values() if one.get("internal")}
    lines = server.run("docker network ls --format '{{.Name}} {{.Internal}}'").splitlines()
    assert sorted(wanted - {line.split()[0] for line in lines if line.endswith("true")}) == []


def _bytes(text):
    units = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}
    number = text.rstrip("BKMGi")
    return float(number) * units[text[len(number) :]]
