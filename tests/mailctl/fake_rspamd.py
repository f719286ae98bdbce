"""A docker command whose rspamd container keeps DKIM keys in a folder; it can kill who called it."""

import sys
from pathlib import Path

SCRIPT = """#!{python} -ES
import json, os, pathlib, signal, sys
folder = pathlib.Path({folder!r})
words = sys.argv[sys.argv.index("/etc/rspamd/bin/dkim") + 1:]
action, domain, selector = (words + [""])[:3]
keys = json.loads((folder / "keys.json").read_text())
kill = folder / f"kill-{{action}}"
when = kill.read_text() if kill.exists() else ""
if when == "before":
    kill.unlink()
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit(1)
if action == "list":
    for name, record in sorted(keys["records"].items()):
        print(name, "signs" if name == keys["signs"] else "idle", record, sep="\\t")
elif action == "make":
    keys["records"].setdefault(selector, "v=DKIM1; k=rsa; p=" + selector * 200)
elif action == "use":
    assert selector in keys["records"]
    keys["signs"] = selector
elif action == "remove":
    assert selector != keys["signs"]
    keys["records"].pop(selector, None)
(folder / "keys.json").write_text(json.dumps(keys))
if when == "after":
    kill.unlink()
    os.kill(os.getppid(), signal.SIGKILL)
"""


class FakeRspamd:
    """`kill("use", "after")`: the process that next asks for that action is killed then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        script = folder / "docker"
        script.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        script.chmod(0o755)
        (folder / "keys.json").write_text('{"records": {"s1": "v=DKIM1; k=rsa; p=one"}, "signs": "s1"}')

    def kill(self, action: str, when: str) -> None:
        (self.folder / f"kill-{action}").write_text(when)
