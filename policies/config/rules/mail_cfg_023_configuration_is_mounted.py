"""MAIL_CFG_023: every configuration file is mounted where its service reads it."""

from collections.abc import Iterator

from policies.config.reader import Configuration, mount
from policies.model import Found


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
            if not any(subject.source(service, path) == file for path in paths):
                what = f"{service.name} does not see {file}"
                yield Found(service.where("volumes"), what, place, f"{service.name}/volumes/{file}")
