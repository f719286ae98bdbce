"""`mailctl verify`: the tests of the host, and their report. Work is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command

HostOption = Annotated[
    str, typer.Option("--host", help="Where: local://, ssh://user@host[:port] or docker://container.")
]
PathOption = Annotated[
    str | None, typer.Option("--path", help="The repository on that host; default: as here.")
]
SudoOption = Annotated[bool, typer.Option("--sudo", help="Become root there by sudo.")]
OnlyOption = Annotated[
    str | None, typer.Option("--only", help="Only tests whose name has this, such as firewall.")
]
ReportsOption = Annotated[
    Path | None, typer.Option("--reports", help="Folder of verify.xml and verify.html; default: reports/.")
]


def run(
    host: HostOption = "local://",
    path: PathOption = None,
    sudo: SudoOption = False,
    only: OnlyOption = None,
    reports: ReportsOption = None,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test the deployed host: services, access, disks, upkeep, endpoints; writes JUnit and an HTML report."""
    from mailctl.verify import report, run

    with command(repo, as_json) as context:
        folder = reports or context.repo / "reports"
        results = run.tests(context.repo, run.Target(host, path, sudo, only), folder)
        page = folder / "verify.html"
        page.write_text(report.html(results, context.project_name), "utf-8")
        run.show(context.out, results)
        context.out.row("report", str(page))
        places = {"html": str(page), "junit": str(folder / "verify.xml")}
        context.out.document({"ok": results.ok, **results.as_dict(), "reports": places})
        if not results.ok:
            raise typer.Exit(1)
