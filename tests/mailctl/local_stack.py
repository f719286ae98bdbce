"""What the tests of `mailctl local` share: three containers and a start that must succeed."""

import json

from conftest import Cli
from fakes import container

LOCAL = "shop-mail-local"


def running(**states: str) -> list[dict[str, object]]:
    """The three containers, healthy but for those named."""
    result = []
    for name in ("mariadb", "mailpit", "usermgmt"):
        state = states.get(name, "healthy")
        changes = {"status": state, "health": None} if state == "created" else {"health": state}
        result.append(container(name, project=LOCAL, log=f"last words of {name}\n", **changes))
    return result


def up(cli: Cli, *arguments: object) -> dict[str, object]:
    result = cli("local", "up", "--json", *arguments)
    assert result.exit_code == 0, result.stdout + result.stderr
    return json.loads(result.stdout)
