"""`mailctl secrets status` for people: one table of all secret files, and what to do about them."""

from typing import TYPE_CHECKING, Any

from mailctl.core.context import Context

if TYPE_CHECKING:
    from mailctl.secret_files.inspect import Finding, Inspection

READERS_FROM_WIDTH = 78


def show(context: Context, inspection: "Inspection") -> None:
    out = context.out
    if out.as_json:
        return
    out.show(_table(inspection.findings, out.console.width))
    if not inspection.folder_ok:
        out.warn(f"{inspection.folder} must have mode 0700: make setup")
    todo: dict[str, list[str]] = {}
    for finding in inspection.findings:
        if finding.todo:
            todo.setdefault(finding.todo, []).append(finding.name)
    for text, names in todo.items():
        out.item(", ".join(names), text)
    bad = sum(finding.failed for finding in inspection.findings)
    total = len(inspection.findings)
    out.show(f"{bad} of {total} secrets are unusable." if bad else f"All {total} secret files are in order.")


def _table(findings: "tuple[Finding, ...]", width: int) -> Any:
    """All columns where they fit; on a phone only the name and what matters most about it."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    wide = width >= READERS_FROM_WIDTH
    for name in ("secret", "state", "mode", "age", "due", "read by") if wide else ("secret", "state"):
        table.add_column(name, overflow="fold", no_wrap=wide and name != "read by")
    for finding in findings:
        mode = f"{finding.mode or '-'}{'' if finding.mode_ok else '!'}"
        readers = " ".join(finding.readers) or "mailctl only"
        short = _age(finding) if finding.mode_ok and finding.age_days is not None else finding.state
        cells = (finding.state, mode, _age(finding), finding.due or "-", readers) if wide else (short,)
        table.add_row(finding.name, *cells, style=_style(finding))
    return table


def _age(finding: "Finding") -> str:
    """Age in days, against the days after which it is rotated, or what is left of a certificate."""
    if finding.expires_days is not None:
        return "expired" if finding.expires_days < 0 else f"{finding.expires_days} d left"
    if finding.age_days is None:
        return "-"
    return f"{finding.age_days}/{finding.rotate_days} d" if finding.rotate_days else f"{finding.age_days} d"


def _style(finding: "Finding") -> str:
    if finding.failed:
        return "red"
    return "yellow" if finding.todo else ""
