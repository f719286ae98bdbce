"""Nobody reaches what is not theirs: ports, firewall, users, modes."""

import json
import stat

# A Swarm publishes on every address, of IPv6 as well where the host has it.
EVERY = ("0.0.0.0", "::", "[::]")  # noqa: S104 (read, not bound)


def test_nothing_listens_that_should_not(server, expected):
    """A port that answers strangers is an endpoint that nobody looks after."""
    swarm = _swarm(server, expected)
    allowed = {"tcp": _ports(server, "tcp") | swarm["tcp"]}
    allowed["udp"] = _ports(server, "udp") | set(expected["listening"]["udp"]) | swarm["udp"]
    found = []
    for line in server.run("ss -Htulnp").splitlines():
        kind, _, _, _, local, *rest = line.split()
        address, _, port = local.rpartition(":")
        # The engine's own proxies are judged by the containers below.
        local_only = address.partition("%")[0].strip("[]").startswith(("127.", "::1"))
        if not local_only and "docker-proxy" not in str(rest) and int(port) not in allowed[kind]:
            found.append(f"{kind} {local} {' '.join(rest[1:])}")
    assert found == []


def test_only_the_ports_of_the_repository_are_published(server):
    """What a container publishes, the engine forwards past the firewall."""
    lines = server.run("docker ps --format '{{.Names}}|{{.Ports}}'").splitlines()
    ours = {one["Name"].lstrip("/"): name for name, one in server.containers.items()}
    wrong = {}
    for name, ports in (line.split("|") for line in lines):
        wanted = {
            (p.get("host_ip") or EVERY[0], p["published"])
            for p in server.services.get(ours.get(name), {}).get("ports", [])
        }
        found = {tuple(part.split("->")[0].rsplit(":", 1)) for part in ports.split(", ") if "->" in part}
        if name in ours and {(EVERY[0] if ip in EVERY else ip, port) for ip, port in found} != wanted:
            wrong[name] = ports
    assert wrong == {}


def test_the_firewall_lets_in_what_it_should_and_no_more(server, expected):
    """Its table drops what no rule accepts: SSH and HOST_OPEN_PORTS, and the Swarm from its other hosts."""
    table = server.project.replace("-", "_")
    text = server.call(f"nft --json list table inet {table}")
    assert text.rc == 0, "the table of the firewall is not there: systemctl restart the firewall's service"
    items = json.loads(text.stdout)["nftables"]
    policy = [one["chain"]["policy"] for one in items if one.get("chain", {}).get("hook") == "input"]
    rules = [one["rule"]["expr"] for one in items if "rule" in one]
    swarm, accepted = _swarm(server, expected), {kind: set() for kind in ("tcp", "udp")}
    strangers = {kind: set() for kind in accepted}
    for rule in (rule for rule in rules if {"accept": None} in rule):
        for kind, port in _endpoints(rule):
            accepted[kind].add(port)
            strangers[kind] |= set() if _of_some(rule) else {port}
    # What accepts without a condition accepts everything.
    assert policy == ["drop"] and [{"accept": None}] not in rules
    ours = {"tcp": _ports(server, "tcp"), "udp": _ports(server, "udp") | {68, 546}}
    assert accepted == {kind: ports | swarm[kind] for kind, ports in ours.items()}
    assert {kind: sorted(ports & swarm[kind]) for kind, ports in strangers.items()} == {"tcp": [], "udp": []}


def test_the_firewall_is_there_after_the_next_start(server):
    service = server.host.service(f"{server.project}-firewall")
    assert service.is_enabled


def test_only_those_expected_are_root_or_as_good(server, expected):
    """Members of the group docker command the engine, which is the same as being root."""
    root = server.run("awk -F: '$3 == 0 {print $1}' /etc/passwd").split()
    docker = server.run("getent group docker | cut -d: -f4").strip().split(",")
    user = server.settings.get("HOST_USER")
    also = {user} - {"", None}
    assert set(root) <= set(expected["users"]["root"]), "users with uid 0"
    assert set(docker) - {""} <= set(expected["users"]["docker"]) | also, "members of the group docker"


def test_folders_and_files_are_closed(server, expected):
    """Others on this host read no mail, no snapshot and no secret."""
    roots = {"repository": server.path, **server.disks}
    wrong = {}
    for place, rows in expected["modes"].items():
        for name, row in rows.items():
            file = server.host.file(f"{roots[place]}/{name}")
            # What is not there yet (no backup so far) is another test's.
            if file.exists and (
                file.mode & ~int(row["mode"], 8)
                or not {"-", file.user, str(file.uid)} & set(row["owner"].split())
            ):
                wrong[f"{place}/{name}"] = f"{stat.filemode(file.mode)} {file.user}"
    assert wrong == {}


def test_every_secret_is_there_and_closed(server, expected):
    """A container keeps the file that it started with: a missing one only shows at the next start."""
    paths = {name: one["file"] for name, one in server.compose["secrets"].items()}
    lines = server.run(
        f"stat --format '%n %a %s' {' '.join(sorted(paths.values()))} 2>/dev/null || true"
    ).splitlines()
    found = {path: (int(mode, 8), int(size)) for path, mode, size in map(str.split, lines)}
    wrong = {}
    for name, path in paths.items():
        mode, size = found.get(path, (0, -1))
        if size < 0 or (size == 0 and name not in expected["optional_secrets"]):
            wrong[name] = "missing" if size < 0 else "empty"
        elif mode & 0o222:
            wrong[name] = f"mode {mode:o}"
    assert wrong == {}


def _ports(server, kind):
    """Ports that strangers may reach on the host itself."""
    words = server.settings.get("HOST_OPEN_PORTS", "").replace(",", " ").split()
    pairs = [(word.partition("/")[0], word.partition("/")[2] or "tcp") for word in words]
    ssh = server.call("sshd -T").stdout if kind == "tcp" else ""
    found = {int(line.split()[1]) for line in ssh.splitlines() if line.startswith("port ")}
    return found | {int(port) for port, word in pairs if word == kind}


def _swarm(server, expected):
    """Ports that the other hosts reach, if there are any."""
    return {kind: set(ports) if server.several else set() for kind, ports in expected["swarm"].items()}


def _of_some(rule):
    """Whether the rule speaks of certain sources alone."""
    lefts = [one["match"]["left"] for one in rule if "match" in one]
    return any(isinstance(left, dict) and left.get("payload", {}).get("field") == "saddr" for left in lefts)


def _endpoints(rule):
    """The destination ports that a rule of nft speaks of, with their protocol."""
    for match in (one["match"] for one in rule if "match" in one):
        left = match["left"].get("payload", {}) if isinstance(match["left"], dict) else {}
        if left.get("field") == "dport":
            right = match["right"]
            for port in right["set"] if isinstance(right, dict) else [right]:
                yield left["protocol"], port
