"""The first domain and mailbox of the local stack, made by the same tool an operator uses; repeatable."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mailctl.core import files
from mailctl.core.errors import Problem, Refused
from mailctl.core.local_stack import LocalStack
from mailctl.secret_files.rules import readable

FIRST_MAILBOX = "me"
PASSWORD_LENGTH = 20


@dataclass(frozen=True)
class Seed:
    """The mailbox a person tries the stack with; kept in .local/info.json, readable by its owner only."""

    email: str
    password: str


def load(path: Path) -> Seed | None:
    """The seed kept from before, None when there is none. Raises Refused when the file is broken."""
    try:
        return Seed(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise Refused(
            Problem(
                field="local state",
                value=str(path),
                wrong=f"cannot be read: {type(error).__name__}",
                fix="remove the local stack with its state: .venv/bin/mailctl local down --volumes",
            )
        ) from None


def seed_path(stack: LocalStack) -> Path:
    return stack.home / "info.json"


def seed(stack: LocalStack) -> Seed:
    """Make the first domain and mailbox if they are missing. Raises Refused with what usermgmt said."""
    domain = stack.context.setting("MAIL_DOMAIN")
    if not domain:
        raise Refused(
            Problem(
                field="MAIL_DOMAIN",
                value="(empty)",
                wrong="the first mailbox needs a domain",
                fix=f"set it in {stack.context.env_path}",
                next="make local",
            )
        )
    kept = load(seed_path(stack)) or Seed(f"{FIRST_MAILBOX}@{domain}", readable(PASSWORD_LENGTH).decode())
    files.write(seed_path(stack), json.dumps(asdict(kept), indent=2) + "\n")
    wanted = {"domains": [{"name": kept.email.partition("@")[2]}], "mailboxes": [asdict(kept)]}
    stack.compose.run("exec", "-T", "usermgmt", "usermgmt", "ensure", stdin=json.dumps(wanted))
    return kept
