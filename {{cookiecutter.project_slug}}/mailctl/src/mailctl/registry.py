"""The one list of commands. A new command is a row here and a module in mailctl/commands/ with a `run`.

A capability with a folder of its own names its function as `module:function`, or brings a Typer sub-app: a
row in APPS.
"""

COMMANDS: dict[str, str] = {
    "setup": "setup",
    "secrets init": "secrets_init",
    "secrets status": "secrets_status",
    "secrets aws": "mailctl.backup.offsite.keys:aws",
    "sync": "mailctl.backup.offsite.cli:sync",
    "status": "status",
    "preflight": "mailctl.deploy.cli:preflight",
    "deploy": "mailctl.deploy.cli:deploy",
    "rollback": "mailctl.deploy.cli:rollback",
    "history": "mailctl.deploy.cli:history",
    "restore": "mailctl.backup.restore.cli:run",
    "drill": "mailctl.backup.drill.cli:run",
    "local up": "local_up",
    "local down": "local_down",
    "local info": "local_info",
    "backup": "mailctl.backup.cli:backup",
    "backup-key": "mailctl.backup.cli:key",
    "scan": "mailctl.backup.cli:scan",
}

GROUPS: dict[str, str] = {
    "secrets": "The secret files that containers read.",
    "local": "Try the whole stack on this machine, without any account.",
}


APPS: dict[str, str] = {
    "edge": "mailctl.edge.cli",
    "dkim": "mailctl.edge.dkim_cli",
    "host": "mailctl.host.cli",
}


def exists(command: str) -> bool:
    """Whether this version of mailctl has the command, so that no message names one it lacks."""
    return command in COMMANDS
