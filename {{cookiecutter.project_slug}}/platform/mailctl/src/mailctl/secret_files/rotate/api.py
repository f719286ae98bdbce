"""The token of mailserver-api: two are valid while the Email Worker changes from the old one to the new."""

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.hosts import several
from mailctl.core.retry import until
from mailctl.secret_files.store import Store
from mailctl.secret_files.table import Source

# Asked inside its container; the token comes on stdin.
ASK = (
    "import sys, urllib.request as r;"
    "h = {'Authorization': 'Bearer ' + sys.stdin.readline().strip()};"
    "r.urlopen(r.Request('http://127.0.0.1:8000/metrics', headers=h), timeout=10)"
)
GIVE = "make edge-apply gives the new token to the Email Worker; then: .venv/bin/mailctl secrets rotate"


def rotate(context: Context, store: Store, source: Source, finish: bool) -> str:
    """Add a second token, or with `finish` end the older one; returns what is next. Raises Refused."""
    tokens = (store.read(source.file) or b"").decode().split()
    if not finish:
        if len(tokens) > 1:
            wrong = "two tokens are valid: a rotation is under way"
            raise Refused(Problem(source.file, wrong, f"{GIVE} {source.file} --finish"))
        made = source.make().decode() if source.make else ""
        _use(context, store, source, [*tokens, made])
        return f"{_first(context)}{GIVE} {source.file} --finish"
    if len(tokens) < 2:
        wrong = "only one token is valid: there is nothing to finish"
        raise Refused(Problem(source.file, wrong, f".venv/bin/mailctl secrets rotate {source.file}"))
    _use(context, store, source, tokens[-1:])
    return _first(context).removesuffix(", then ")


def _first(context: Context) -> str:
    """What brings a new value into the containers, where that is not done here."""
    return ".venv/bin/mailctl swarm deploy, then " if several(context) else ""


def _use(context: Context, store: Store, source: Source, tokens: list[str]) -> None:
    """Write them, and see that the API takes the newest; otherwise the former ones are put back."""
    before = store.read(source.file) or b""
    store.overwrite(source.file, "".join(f"{each}\n" for each in tokens).encode(), source.mode)
    if several(context):
        return  # a deployment brings them
    container = running(context, "mailserver-api")
    try:
        until(lambda: output(container, "python", "-c", ASK, stdin=f"{tokens[-1]}\n".encode()), seconds=20)
    except Refused:
        store.overwrite(source.file, before, source.mode)
        raise
