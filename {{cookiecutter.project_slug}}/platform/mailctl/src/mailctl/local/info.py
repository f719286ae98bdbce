"""What a person needs to use the local stack: addresses, accounts, files."""

from dataclasses import dataclass

from mailctl.core.errors import Problem, Refused
from mailctl.core.local_stack import LocalStack
from mailctl.core.output import Output
from mailctl.local.seed import load, seed_path

HOST = "127.0.0.1"
# Another name is another origin with cookies of its own; nginx tells the sites apart by it. Browsers
# know that names below localhost are this machine.
ADMIN_HOST, ACCOUNT_HOST = "localhost", "account.localhost"


@dataclass(frozen=True)
class Info:
    """Addresses and accounts of a started local stack."""

    mailbox: str
    mailbox_password: str
    admin: str
    admin_password: str
    webmail: str
    account_page: str
    admin_page: str
    sink: str
    imaps: str
    submission: str
    submissions: str
    api: str
    api_token_file: str
    ca_file: str
    project: str


def read_info(stack: LocalStack) -> Info:
    """Collect it from the local state. Raises Refused when the stack was never started."""
    kept = load(seed_path(stack))
    admin_password = stack.secrets / "usermgmt_admin_password"
    if kept is None or not admin_password.is_file():
        raise Refused(
            Problem(
                field="local stack",
                value=stack.project,
                wrong="has not been started yet, or not to its end",
                fix="start it",
                next="make local",
            )
        )
    ports = stack.ports
    web = ports["LOCAL_WEB_PORT"]
    return Info(
        mailbox=kept.email,
        mailbox_password=kept.password,
        admin=stack.context.setting("ADMIN_EMAIL"),
        admin_password=admin_password.read_text("utf-8").strip(),
        webmail=f"http://{HOST}:{web}/",
        account_page=f"http://{ACCOUNT_HOST}:{web}/",
        admin_page=f"http://{ADMIN_HOST}:{web}/",
        sink=f"http://{HOST}:{ports['LOCAL_SINK_PORT']}/",
        imaps=f"{HOST}:{ports['LOCAL_IMAPS_PORT']}",
        submission=f"{HOST}:{ports['LOCAL_SUBMISSION_PORT']}",
        submissions=f"{HOST}:{ports['LOCAL_SUBMISSIONS_PORT']}",
        api=f"http://{HOST}:{ports['LOCAL_API_PORT']}",
        api_token_file=str(stack.secrets / "mailserver_api_tokens"),
        ca_file=str(stack.secrets / "internal_ca.crt"),
        project=stack.project,
    )


def show_info(out: Output, info: Info) -> None:
    """Print it, each address on a line of its own, so that it can be copied."""
    rows = (
        ("webmail", info.webmail),
        ("", f"{info.mailbox}  {info.mailbox_password}"),
        ("account", info.account_page),
        ("admin", info.admin_page),
        ("", f"{info.admin}  {info.admin_password}"),
        ("sent mail", f"{info.sink}  nothing leaves this machine"),
        ("IMAP", f"{info.imaps}  TLS"),
        ("SMTP", f"{info.submission}  STARTTLS"),
        ("", f"{info.submissions}  TLS"),
        ("API", info.api),
        ("", info.api_token_file),
        ("CA", info.ca_file),
        ("end", "make local-down"),
    )
    for label, text in rows:
        out.row(label, text)
