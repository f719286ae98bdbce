"""Data lies on the disks that are meant for it, and there is room."""

import json


def test_each_disk_is_mounted(server):
    """A folder on a disk that is not mounted is one on the system's own disk: mail would fill it."""
    fstab = [
        line.split() for line in server.run("cat /etc/fstab || true").splitlines() if not line.startswith("#")
    ]
    places = {line[1] for line in fstab if len(line) > 1 and line[1] != "/" and line[1].startswith("/")}
    wrong = {}
    for name, path in server.disks.items():
        mounted = server.run(f"findmnt --noheadings --output TARGET --target {path}").strip()
        above = [place for place in places if f"{path}/".startswith(f"{place}/")]
        if (above and not mounted.startswith(max(above, key=len))) or (
            path.startswith(("/mnt/", "/media/")) and mounted == "/"
        ):
            wrong[name] = f"{path} lies on {mounted}"
    assert wrong == {}


def test_each_disk_takes_what_is_written(server):
    """The kernel makes a failing disk read-only, and mail then waits in the queue."""
    options = {
        name: server.run(f"findmnt --noheadings --output OPTIONS --target {path}").strip().split(",")
        for name, path in server.disks.items()
    }
    assert [name for name, words in options.items() if "rw" not in words] == []


def test_each_disk_has_room(server, expected, figure):
    """A full disk stops mail: docs/how-do-i.md."""
    root = server.run("docker info --format '{{.DockerRootDir}}'").strip()
    places = {**server.disks, "docker": root, "system": "/"}
    full = {}
    for name, path in places.items():
        for kind, word in (("", "pcent"), ("inodes", "ipcent")):
            text = server.run(f"df --output={word} {path} 2>/dev/null || df --output={word} /").split()[-1]
            used = int(text.rstrip("%")) if text != "-" else 0
            if not kind:
                figure("Disks", name, used, expected["full"], "% used")
            if used > expected["full"]:
                full[f"{name} {kind}".strip()] = used
    assert full == {}


def test_each_volume_is_the_folder_on_its_disk(server):
    """A container keeps the folder that it started with, also when another one took its place since."""
    store = "dovecot-store" if server.several else "dovecot"
    server.needs("mariadb", store, "usermgmt")
    inside = {"db_data": "/var/lib/mysql", "mail_data": "/srv/vmail"}
    devices = {name: server.compose["volumes"][name]["driver_opts"]["device"] for name in inside}
    # The image of dovecot has no tools, so another container looks at the volumes of both.
    volumes = " ".join(f"--volumes-from {server.containers[name]['Id']}:ro" for name in ("mariadb", store))
    look = f"docker run --rm --network none --user 0 {volumes} --entrypoint stat"
    seen = server.run(f"{look} {server.containers['usermgmt']['Image']} -c %i {' '.join(inside.values())}")
    there = server.run(f"stat -c %i {' '.join(devices.values())}")
    names = " ".join(f"{server.project}_{name}" for name in inside)
    options = json.loads(server.run(f"docker volume inspect {names}"))
    assert seen.split() == there.split(), "the containers write to other folders"
    assert [one["Options"]["device"] for one in options] == list(devices.values())
