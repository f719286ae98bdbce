"""The one list of commands. A new command is a row here and a module in mailctl/commands/ with a `run`."""

COMMANDS: dict[str, str] = {
    "secrets init": "secrets_init",
}

GROUPS: dict[str, str] = {
    "secrets": "The secret files that containers read.",
}


def exists(command: str) -> bool:
    """Whether this version of mailctl has the command, so that no message names one it lacks."""
    return command in COMMANDS
