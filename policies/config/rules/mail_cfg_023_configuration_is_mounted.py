"""MAIL_CFG_023: every configuration file is mounted where its service reads it."""

from collections.abc import Iterator

from policies.config.reader import Configuration, mount
from policies.model import Found

WHOLE = "/etc/dovecot/whole.conf"


def check(subject: Configuration) -> Iterator[Found]:
    """Look for each file in each service that should read it."""
    for file, kind in subject.kinds.items():
        row = mount(file)
        for service in subject.running(row["service"]) if row and kind != "text" else ():
            place = row.get("path") or row["folder"] + "/" + file.removeprefix(row["files"].partition("*")[0])
            paths = [place]
            if row.get("any"):  # the service reads every file of that folder, whatever it is called
                ending = f".{file.rpartition('.')[2]}"
                mounts = service.mounts()
                inside = (each for each, source, _ in mounts if source == file and each.endswith(ending))
                paths += [each for each in inside if each.rpartition("/")[0] == row["folder"]]
            # On several hosts both roles of Dovecot begin with the whole of it.
            if _begins_with(subject.text(subject.source(service, place) or "") or "", WHOLE):
                paths.append(WHOLE)
            if not any(subject.source(service, path) == file for path in paths):
                what = f"{service.name} does not see {file}"
                yield Found(service.where("volumes"), what, place, f"{service.name}/volumes/{file}")


def _begins_with(text: str, path: str) -> bool:
    """Tell whether a file takes in another one before it says anything of its own but versions."""
    said = (line.strip() for line in text.splitlines())
    own = (line for line in said if line and not line.startswith(("#", "dovecot_")))
    return next(own, "") == f"!include {path}"
