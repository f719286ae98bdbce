"""The systemd units of this server as text, from one table of jobs. Nothing here touches the host."""

from dataclasses import dataclass
from pathlib import Path

# Jobs take turns: the next one waits this long for the one before.
TURN_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Job:
    """One timer: `words` of mailctl at `calendar` (systemd.time(7)), at most `delay` later."""

    name: str
    title: str
    words: str
    calendar: str
    delay: str
    #: Whether it is the agent, which may change the repository and its own folder.
    agent: bool = False
    #: Whether it waits for the jobs that take turns.
    turn: bool = True
    #: Whether the others wait for it: what takes hours delays no snapshot.
    holds: bool = True
    #: Whether the monitor says when it fails, which needs no mail.
    watched: bool = False
    #: What the first run leaves below SSD_PATH: that one is a person's, and the timer only follows.
    begun: str = ""
    #: One of each minute would fill the journal with its beginnings and ends, and must not hang.
    often: bool = False
    #: Whether it writes secrets.
    secrets: bool = False
    #: Whether it reads what other processes may do.
    sees: bool = False
    #: Whether it sends snapshots of a file system: the kernel asks for more, and the first one takes hours.
    sends: bool = False


HISTORY, PROBED = ".mailctl/deploy/history", "monitor/probe.json"
JOBS = (
    Job("backup", "daily snapshot", "backup --daily", "Mon..Sat *-*-* 02:30:00", "15min"),
    Job("backup-weekly", "weekly snapshot", "backup --weekly", "Sun *-*-* 02:30:00", "15min"),
    Job("sync", "upload of the snapshots to S3", "sync", "*-*-* 04:00:00", "30min", holds=False),
    Job("sync-verify", "check of the copies in S3", "sync --verify", "Wed *-*-* 05:00:00", "1h", holds=False),
    Job("purge", "removal of mail deleted over 30 days ago", "purge", "*-*-* 05:30:00", "15min"),
    Job("dns", "look-up of the domains' DNS records", "domain dns --changed", "*-*-* 05:50:00", "5min"),
    Job("drill", "restore drill", "drill", "*-*-01 06:00:00", "2h", holds=False),
    Job(
        "certificate",
        "certificate for mail programs",
        "certificate",
        "*-*-* 03:40:00",
        "4h",
        turn=False,
        begun=HISTORY,
        secrets=True,
    ),
    # PROBE_EVERY says how often.
    Job(
        "probe",
        "mail out and back in",
        "probe",
        "*-*-* *:04:00",
        "5min",
        turn=False,
        watched=True,
        begun=PROBED,
    ),
    Job("monitor", "look at what stops mail", "monitor", "*:*", "0", turn=False, begun=HISTORY, often=True),
)
# With DEPLOY_METHOD=pull: nothing reaches this host, so it looks itself for what was merged.
PULL = Job(
    "deploy",
    "deployment of what was merged",
    "run",
    "*:0/2",
    "0",
    agent=True,
    turn=False,
    watched=True,
    begun=HISTORY,
)
# On several hosts: what arrived since the last copy is on one disk alone.
COPY = Job("copy", "copy of the mailboxes to the next host", "node copy", "*:*", "0", turn=False, sends=True)
CHECK = Job(
    "check",
    "what tasks may do",
    "swarm check",
    "*-*-* 05:10:00",
    "30min",
    turn=False,
    watched=True,
    sees=True,
)
# Only with PULL: what mailserver-api writes when a workflow asks this host to look at once.
HASTEN = "hasten"
# Of `mailctl monitor --serve`, which Prometheus on this host may ask; MONITOR_PORT=0 in .env: not wanted.
METRICS, METRICS_PORT = "metrics", 9640

# All of it was tried with every job: none of them needs more. The engine's socket is the power they keep.
HARDENING = """\
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


@dataclass(frozen=True)
class Place:
    """What the units depend on: project, repository, both disks, the timers' time zone, AGENT_DIR."""

    project: str
    repo: Path
    hdd: Path
    ssd: Path
    zone: str
    metrics_port: int = METRICS_PORT
    agent: Path | None = None
    #: SECRETS_DIR, absolute; None: the repository's own.
    secrets: Path | None = None

    @property
    def home(self) -> Path:
        """The agent's folder."""
        return self.agent or Path(f"/opt/{self.project}-agent")

    @property
    def metrics(self) -> str:
        """The unit that gives the monitor's figures; "" where it is not wanted."""
        return f"{self.project}-{METRICS}.service" if self.metrics_port else ""

    @property
    def mark(self) -> str:
        """The first line of every file that belongs to this repository."""
        return f"# Made by make setup-host of {self.repo}: it overwrites edits, but not systemctl edit."

    def name(self, job: Job, kind: str) -> str:
        return f"{self.project}-{job.name}.{kind}"


def texts(place: Place, jobs: tuple[Job, ...]) -> dict[str, str]:
    """Every unit by its file name: a service and a timer for each job, and the one that mails failures."""
    units = {f"{place.project}-failed@.service": _failed(place)}
    for job in jobs:
        units[place.name(job, "service")] = _service(place, job)
        units[place.name(job, "timer")] = _timer(place, job)
    if PULL in jobs:
        units[f"{place.project}-{HASTEN}.path"] = _hasten(place)
    if jobs and place.metrics:
        units[place.metrics] = _metrics(place)
    return units


def wrapper(place: Place) -> str:
    """A command for PATH that finds this repository from any folder; the agent's own is closed to others."""
    return f"""{_script(place)}mailctl={_shell(place.home)}/current/bin/mailctl
test -x "$mailctl" || mailctl={_shell(place.repo)}/.venv/bin/mailctl
exec "$mailctl" "$@"
"""


def launcher(place: Place) -> str:
    """`run` in the agent's folder: the last good version, or the one before, if that one crashes."""
    return f"""{_script(place)}code=1
for version in current previous; do
  mailctl={_shell(place.home)}/$version/bin/mailctl
  test -x "$mailctl" || continue
  "$mailctl" agent "${{@:-run}}"
  code=$?
  case $code in 0 | 1) exit $code ;; esac
  echo "$version ended with exit code $code" >&2
done
exit $code
"""


def _script(place: Place) -> str:
    repo = f"MAILCTL_REPO=${{MAILCTL_REPO:-{_shell(place.repo)}}}"
    return f"#!/bin/sh\n{place.mark}\n{repo}\nexport MAILCTL_REPO\n"


def _shell(path: Path) -> str:
    return "'" + str(path).replace("'", r"'\''") + "'"


def quoted(path: Path) -> str:
    """A path for a unit file, whose quotes, backslashes and specifiers (%) stay what they are."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _word(path: Path) -> str:
    """A path as a word of a command, in which systemd replaces variables."""
    return quoted(path).replace("$", "$$")


def _mailctl(place: Place) -> str:
    return _word(place.home / "current" / "bin" / "mailctl")


def _call(place: Place, job: Job) -> str:
    """The command of a job; those of mailctl take turns."""
    if job.agent:
        return f"{_word(place.home / 'run')} {job.words}"
    if not (job.turn and job.holds):
        return f"{_mailctl(place)} {job.words}"
    return f"/usr/bin/flock --wait {TURN_SECONDS} {_word(place.hdd)} {_mailctl(place)} {job.words}"


def _service(place: Place, job: Job) -> str:
    disks = f"{quoted(place.hdd)} {quoted(place.ssd)}"
    writes = f"{disks} {quoted(place.repo)} {quoted(place.home)}" if job.agent else disks
    writes += f" {quoted(place.secrets or place.repo / 'secrets')}" if job.secrets else ""
    told = "" if job.watched else f"OnFailure={place.project}-failed@%N.service\n"
    waits = f"ExecStartPre=/usr/bin/flock --wait {TURN_SECONDS} {_word(place.hdd)} /usr/bin/true\n"
    before = waits if job.turn and not job.holds else ""
    begun = f"ConditionPathExists={str(place.ssd / job.begun).replace('%', '%%')}\n" if job.begun else ""
    often = "LogLevelMax=notice\nTimeoutStartSec=3min\n" if job.often else ""
    often = "LogLevelMax=notice\n" if job.sends else often
    more = " CAP_SYS_ADMIN" * job.sends + " CAP_SYS_PTRACE" * job.sees
    hardening = HARDENING.replace("CAP_FSETID", f"CAP_FSETID{more}")
    return f"""{place.mark}
[Unit]
Description={place.project}: {job.title}
Wants=network-online.target
After=network-online.target docker.service
RequiresMountsFor={disks}
{told}{begun}
[Service]
Type=oneshot
{before}ExecStart={_call(place, job)}
WorkingDirectory={str(place.repo).replace("%", "%%")}
Environment=HOME=/root PYTHONUNBUFFERED=1 MAILCTL_FAILURE_MAIL=systemd BUILDX_CONFIG=/tmp/buildx
SyslogIdentifier=%N
ReadWritePaths={writes}
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
{often}{hardening}"""


def _metrics(place: Place) -> str:
    return f"""{place.mark}
[Unit]
Description={place.project}: the monitor's figures on 127.0.0.1:{place.metrics_port}
RequiresMountsFor={quoted(place.ssd)}

[Service]
ExecStart={_mailctl(place)} monitor --serve {place.metrics_port}
WorkingDirectory={str(place.repo).replace("%", "%%")}
Environment=HOME=/root PYTHONUNBUFFERED=1
Restart=on-failure
RestartSec=1min
ReadWritePaths={quoted(place.ssd)}
{HARDENING}
[Install]
WantedBy=multi-user.target
"""


def _hasten(place: Place) -> str:
    # What is asked while a deployment runs is left to the timer: no unit waits for the file meanwhile.
    return f"""{place.mark}
[Unit]
Description={place.project}: a workflow asks this host to look for what was merged
RequiresMountsFor={quoted(place.ssd)}

[Path]
PathChanged={str(place.ssd / HASTEN / "asked").replace("%", "%%")}
Unit={place.name(PULL, "service")}

[Install]
WantedBy=multi-user.target
"""


def _timer(place: Place, job: Job) -> str:
    # systemd itself may be a minute late, to wake up less often.
    exact = "AccuracySec=1s\n" if job.delay == "0" else ""
    return f"""{place.mark}
[Unit]
Description={place.project}: {job.title}

[Timer]
OnCalendar={job.calendar} {place.zone}
RandomizedDelaySec={job.delay}
{exact}Persistent=true

[Install]
WantedBy=timers.target
"""


def _failed(place: Place) -> str:
    return f"""{place.mark}
[Unit]
Description={place.project}: mail about the failure of %i
After=docker.service
# A job that is started again and again must not send a mail each time.
StartLimitIntervalSec=1h
StartLimitBurst=3

[Service]
Type=oneshot
ExecStart={_mailctl(place)} host failed %i
WorkingDirectory={str(place.repo).replace("%", "%%")}
Environment=HOME=/root
TimeoutStartSec=5min
{HARDENING}"""
