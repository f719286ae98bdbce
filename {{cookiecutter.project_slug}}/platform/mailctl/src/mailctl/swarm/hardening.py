"""What a running task may do, read from the engine and the kernel, against what the model says.

The same for a container of Compose and for a task of Swarm: the kernel does not know who started them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mailctl.swarm import tmpfs

#: The capabilities by their numbers (linux/capability.h).
CAPABILITIES = re.findall(r"\w+", """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
    SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG
    MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
    BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
""")  # fmt: skip
UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
#: Reads a file of the host where the task runs, such as /proc/PID/status.
Reader = Callable[[str], str]


def expected(service: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, Any]:
    """What the model says of a service; `networks` are the model's, by key."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    folders = [tmpfs.parse("", each) for each in service.get("tmpfs") or ()]
    return {
        "user": str(service.get("user") or ""),
        "read_only": bool(service.get("read_only")),
        "init": bool(service.get("init")),
        "privileged": False,
        "no_new_privileges": True,
        "capabilities": sorted(service.get("cap_add") or ())
        if "ALL" in (service.get("cap_drop") or ())
        else "default",
        "memory": _bytes(str(limits.get("memory", 0))),
        "cpus": float(limits.get("cpus") or 0),
        "pids": int(limits.get("pids") or 0),
        "sysctls": {str(k): str(v) for k, v in (service.get("sysctls") or {}).items()},
        "networks": sorted(networks[key]["name"] for key in service.get("networks") or ()),
        "shared": [],
        "tmpfs": {folder.target: _normal(folder.wanted) for folder in folders},
        "healthcheck": _health(service.get("healthcheck") or {}),
        "writable": sorted(
            mount["target"]
            for mount in service.get("volumes") or ()
            if mount["type"] == "volume" and not mount.get("read_only")
        ),
    }


def found(inspect: Mapping[str, Any], read: Reader) -> dict[str, Any]:
    """What `docker inspect` and the kernel say of a running container."""
    host, config = inspect["HostConfig"], inspect["Config"]
    status = dict(
        line.partition(":\t")[::2] for line in read(f"/proc/{inspect['State']['Pid']}/status").splitlines()
    )
    memory = _mounts(read(f"/proc/{inspect['State']['Pid']}/mountinfo"))
    bounding = int(status["CapBnd"], 16)
    held = sorted(name for number, name in enumerate(CAPABILITIES) if bounding >> number & 1)
    check = config.get("Healthcheck") or {}
    spans = ("Interval", "Timeout", "StartPeriod", "StartInterval")
    return {
        "user": config.get("User", ""),
        "read_only": host["ReadonlyRootfs"],
        "init": bool(host.get("Init")),
        "privileged": host["Privileged"],
        "no_new_privileges": status["NoNewPrivs"].strip() == "1",
        "capabilities": held,
        "memory": host["Memory"],
        "cpus": host["NanoCpus"] / 1e9,
        "pids": host.get("PidsLimit") or 0,
        "sysctls": host.get("Sysctls") or {},
        "networks": sorted(inspect["NetworkSettings"]["Networks"]),
        "shared": _shared(host),
        "tmpfs": memory,
        "healthcheck": [
            check.get("Test"),
            *((check.get(key) or 0) / 1e9 for key in spans),
            check.get("Retries") or 0,
        ],
        "writable": sorted(
            mount["Destination"]
            for mount in inspect["Mounts"]
            if mount["Type"] == "volume" and mount["RW"] and mount["Destination"] not in memory
        ),
    }


def differences(wanted: Mapping[str, Any], real: Mapping[str, Any]) -> list[str]:
    """Each thing that is not as the model says. Folders in memory are looked up by the model's."""
    told = []
    for key, value in wanted.items():
        is_so = real[key]
        if key == "tmpfs":
            is_so = {target: is_so.get(target) for target in value}
        if value != "default" and value != is_so:
            told.append(f"{key} is {is_so}, the model says {value}")
    return told


def _shared(host: Mapping[str, Any]) -> list[str]:
    """What the container has of the host's, or of another container's."""
    modes = [f"{key}={host.get(key)}" for key in ("PidMode", "UTSMode", "UsernsMode") if host.get(key)]
    modes += (
        [f"IpcMode={host['IpcMode']}"]
        if host.get("IpcMode", "private") not in ("private", "shareable")
        else []
    )
    modes += ["devices"] if host.get("Devices") else []
    return modes + [each for each in host.get("SecurityOpt") or () if "unconfined" in each]


def _mounts(text: str) -> dict[str, dict[str, str]]:
    """The folders in memory of a mountinfo (proc_pid_mountinfo(5)), with their options."""
    memory = {}
    for line in text.splitlines():
        front, _, back = line.partition(" - ")
        kind, _, options = back.split(" ", 2)
        if kind == "tmpfs":
            target, flags = front.split()[4:6]
            given = dict(each.partition("=")[::2] for each in f"{flags},{options}".split(","))
            shown = {"mode": "1777", "uid": "0", "gid": "0"}
            shown |= {key: value for key, value in given.items() if key in (*tmpfs.VALUES, *tmpfs.FLAGS)}
            memory[target] = _normal(shown)
    return memory


def _normal(options: Mapping[str, str]) -> dict[str, str]:
    """The same options written alike: modes without zeros before them, sizes in bytes."""
    sizes = {key: str(_bytes(options[key])) for key in ("size",) if key in options}
    return dict(options) | {"mode": options["mode"].lstrip("0")} | sizes


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)\s*([bkmgBKMG]?)[iI]?[bB]?", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit.lower()]


def _seconds(text: str) -> float:
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", text))


def _health(check: Mapping[str, Any]) -> list[Any]:
    """Test, interval, timeout, start period, interval while starting, retries."""
    test = [str(word).replace("$$", "$") for word in check.get("test") or ()] or None
    spans = ("interval", "timeout", "start_period", "start_interval")
    return [test, *(_seconds(str(check.get(key) or "")) for key in spans), int(check.get("retries") or 0)]
