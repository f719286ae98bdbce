"""What `secrets init` did, for people and as data: never a value."""

from collections import Counter
from typing import TYPE_CHECKING

from mailctl.core.context import Context
from mailctl.core.hosts import recreated

if TYPE_CHECKING:
    from mailctl.secret_files.initialise import Report
    from mailctl.secret_files.table import Source


def show(context: Context, report: "Report") -> None:
    """Print what was done, warned about and is next, for people."""
    from mailctl.secret_files import sealed

    out = context.out
    counts = Counter(report.actions.values())
    summary = ", ".join(f"{number} {action}" for action, number in sorted(counts.items()))
    out.show(f"{report.folder}: {len(report.actions)} secret files ({summary})")
    if report.existed:
        out.show(*(f"  {name}: {report.actions[name]}" for name in report.changed))
    for text in messages(report):
        out.warn(text)
    for label, text in advice(context, report):
        out.item(label, text)
    if report.changed and sealed.on(context):
        out.item("next", sealed.SEAL)


def messages(report: "Report") -> list[str]:
    """What the operator must hear: never a value."""
    from mailctl.secret_files.inspect import rotation

    texts = list(report.warnings)
    if report.fixed_modes:
        texts.append(f"wrong modes were fixed: {', '.join(report.fixed_modes)}")
    for source in report.differing:
        kept = f"{source.variable} in .env differs from {source.file}; the file was kept"
        texts.append(f"{kept}. To change it: {rotation(source)}")
    return texts


def advice(context: Context, report: "Report") -> list[tuple[str, str]]:
    """What to do next."""
    from mailctl.secret_files.initialise import EMPTY
    from mailctl.secret_files.table import SOURCES

    items = [
        (f"empty {s.file}", f"{s.empty_means} until {_filled(s)}")
        for s in SOURCES
        if report.actions.get(s.file) == EMPTY
    ]
    if report.leftover and not report.differing:
        names = ", ".join(report.leftover)
        items.append(("tidy", f"these may now be removed from .env, the files hold them: {names}"))
    elif report.leftover:
        items.append(("tidy", "once the warnings are settled, remove the secrets from .env"))
    if readers := report.readers_to_restart():
        items.append(("next", recreated(context, readers)))
    return items


def _filled(source: "Source") -> str:
    return f"{source.variable} is in .env and init runs again" if source.variable else source.replace


def document(report: "Report") -> dict[str, object]:
    """The same as data: names of files and variables, never a value."""
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
