"""The one list of commands. A capability is a folder whose `cli.py` holds its commands and no work.

A group of commands is a Typer sub-app, `app` in that file: a row in GROUPS. A command without a group, or one
that another capability adds to a group, names its function: a row in COMMANDS.
"""

GROUPS: dict[str, str] = {
    "secrets": "mailctl.secret_files.cli",
    "local": "mailctl.local.cli",
    "edge": "mailctl.edge.cli",
    "dkim": "mailctl.edge.dkim_cli",
    "host": "mailctl.host.cli",
    "agent": "mailctl.agent.cli",
    "images": "mailctl.images.cli",
    "queue": "mailctl.queue.cli",
    "db": "mailctl.swarm.database_cli",
    "alarm": "mailctl.monitor.alarm_cli",
    "user": "mailctl.accounts.cli",
    "domain": "mailctl.accounts.domain_cli",
    "alias": "mailctl.accounts.alias_cli",
    "sender": "mailctl.accounts.sender_cli",
    "admin": "mailctl.accounts.admin_cli",
    "token": "mailctl.accounts.token_cli",
    "move": "mailctl.move.cli",
    "import": "mailctl.importing.cli",
    "search": "mailctl.search.cli",
}

COMMANDS: dict[str, str] = {
    "setup": "mailctl.setup.cli:setup",
    "status": "mailctl.status.cli:status",
    "trace": "mailctl.trace.cli:trace",
    "logs": "mailctl.logs.cli:logs",
    "preflight": "mailctl.deploy.cli:preflight",
    "deploy": "mailctl.agent.cli:deploy",
    "agent carry-out": "mailctl.deploy.cli:carry_out",
    "rollback": "mailctl.deploy.cli:rollback",
    "history": "mailctl.deploy.cli:history",
    "certificate": "mailctl.certificate.cli:run",
    "verify": "mailctl.verify.cli:run",
    "monitor": "mailctl.monitor.cli:monitor",
    "canaries": "mailctl.canaries.cli:run",
    "probe": "mailctl.probe.cli:run",
    "backup": "mailctl.backup.cli:backup",
    "backup-key": "mailctl.backup.cli:key",
    "scan": "mailctl.backup.cli:scan",
    "sync": "mailctl.backup.offsite.cli:sync",
    "restore": "mailctl.backup.restore.cli:run",
    "drill": "mailctl.backup.drill.cli:run",
    "purge": "mailctl.purge.cli:run",
    "export": "mailctl.person.cli:export",
    "erase": "mailctl.person.cli:erase",
    "domain dns": "mailctl.edge.domain_cli:run",
    "edge forwards": "mailctl.edge.forwards_cli:run",
    "edge spool": "mailctl.edge.spool_cli:run",
    "secrets aws": "mailctl.secret_files.aws:run",
}
