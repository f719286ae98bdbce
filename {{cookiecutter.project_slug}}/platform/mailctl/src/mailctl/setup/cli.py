"""`mailctl setup`: everything that must be there before the first `make deploy`; safe to repeat."""

from pathlib import Path

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.disks import folder_of, unmounted
from mailctl.core.env_file import make_from_example
from mailctl.core.errors import Problem, Refused
from mailctl.core.hold import FOLDERS as HOLD
from mailctl.core.hosts import several

# Folders that compose binds volumes to and backups are written to, by the setting they lie below.
FOLDERS = {"SSD_PATH": ("mariadb", "monitor", "hasten", *HOLD), "HDD_PATH": ("mailboxes", "daily", "weekly")}

# Its hosts are brought together by hand before the first deployment.
SEVERAL = "docs/several-hosts.md brings the hosts together; make deploy from then on"


def setup(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Make .env from its example if it is missing, the folders, and every secret."""
    from mailctl.secret_files import show
    from mailctl.secret_files.initialise import initialise

    with command(repo, as_json) as context:
        copied = make_from_example(context.env_path, context.repo / ".env.example")
        folders = _make_folders(context)
        report = initialise(context, context.folder("SECRETS_DIR", "secrets"))
        _show(context, copied, folders)
        show.show(context, report)
        context.out.row("next", SEVERAL if several(context) else "make deploy")
        context.out.document(
            {
                **show.document(report),
                "env_file_made": copied,
                "folders": [str(path) for path in folders],
            }
        )


def _make_folders(context: Context) -> list[Path]:
    """Make what is missing and return it. Raises Refused, naming every disk and folder that is not there."""
    roots = {setting: folder_of(context, setting) for setting in FOLDERS}
    if missing := [problem for setting, root in roots.items() if (problem := unmounted(setting, root))]:
        raise Refused(*missing)
    made, problems = [], []
    for setting, names in FOLDERS.items():
        root = roots[setting]
        for path in (root / name for name in names):
            if path.is_dir():
                continue
            try:
                path.mkdir(parents=True)
            except OSError as error:
                problems.append(_not_made(setting, path, error))
            else:
                made.append(path)
    if problems:
        raise Refused(*problems)
    return made


def _not_made(setting: str, path: Path, error: OSError) -> Problem:
    return Problem(
        field=setting,
        value=str(path),
        wrong=f"the folder cannot be made: {error.strerror}",
        fix=f'mount the disk or name another folder; or: sudo mkdir -p {path} && sudo chown "$USER" {path}',
        next="make setup",
    )


def _show(context: Context, copied: bool, folders: list[Path]) -> None:
    if copied:
        context.out.row("made", f"{context.env_path}  from .env.example; look through it")
    for path in folders:
        context.out.row("made", f"{path}/")
