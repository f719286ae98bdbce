"""`mailctl secrets init`: take over what .env holds, make strong secrets for the rest, overwrite nothing."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.context import Context, JsonOption, RepoOption, command
from mailctl.registry import exists

if TYPE_CHECKING:
    from mailctl.secret_files.initialise import Report

DirOption = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of the secret files; default: SECRETS_DIR of .env, else secrets."),
]


def run(directory: DirOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Make every secret the stack needs; an existing one is never overwritten."""
    from mailctl.secret_files.initialise import initialise

    with command(repo, as_json) as context:
        report = initialise(context, secrets_folder(context, directory))
        _show(context, report)
        context.out.document(_document(report))


def secrets_folder(context: Context, directory: Path | None) -> Path:
    """The folder the user named, counted from where he stands; else the one that compose mounts from."""
    return directory.expanduser().absolute() if directory else context.folder("SECRETS_DIR", "secrets")


def _show(context: Context, report: "Report") -> None:
    out = context.out
    counts = Counter(report.actions.values())
    summary = ", ".join(f"{number} {action}" for action, number in sorted(counts.items()))
    out.show(f"{report.folder}: {len(report.actions)} secret files ({summary})")
    if report.existed:
        out.show(*(f"  {name}: {report.actions[name]}" for name in report.changed))
    for text in messages(report):
        out.warn(text)
    for text in advice(report):
        out.show(text)


def messages(report: "Report") -> list[str]:
    """What the operator must hear: never a value."""
    texts = list(report.warnings)
    if report.mended_modes:
        texts.append(f"the mode was wrong and is mended: {', '.join(report.mended_modes)}")
    for source in report.differing:
        how = "mailctl secrets rotate" if exists("secrets rotate") else source.replace
        texts.append(
            f"{source.variable} in .env differs from {source.file}; the file was kept. To change it: {how}"
        )
    return texts


def advice(report: "Report") -> list[str]:
    """What to do next."""
    from mailctl.secret_files.initialise import EMPTY
    from mailctl.secret_files.table import SOURCES

    lines = [
        f"Empty: {s.file}: {s.empty_means} until {s.variable} stands in .env and init runs again."
        for s in SOURCES
        if report.actions[s.file] == EMPTY
    ]
    if report.leftover:
        lines.append(
            f"These may now be removed from .env, the files hold them: {', '.join(report.leftover)}."
            if not report.differing
            else "Once the warnings are settled, remove the secrets from .env; only the files are used."
        )
    if readers := report.readers_to_restart():
        lines.append(f"Next: docker compose up -d --force-recreate {' '.join(readers)}")
    return lines


def _document(report: "Report") -> dict[str, object]:
    return {
        "ok": True,
        "folder": str(report.folder),
        "files": report.actions,
        "taken": report.taken,
        "removable_from_env": [] if report.differing else report.leftover,
        "differing": [source.variable for source in report.differing],
        "warnings": messages(report),
        "restart": report.readers_to_restart(),
    }
