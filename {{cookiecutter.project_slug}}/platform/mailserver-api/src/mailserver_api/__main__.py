"""`python -m mailserver_api`: uvicorn with the settings of this service."""

import os
import sys

import uvicorn

from mailserver_api import logs
from mailserver_api.app import create_app
from mailserver_api.settings import Settings, SettingsError
from mailserver_api.tokens import Tokens

# Every caller has an answer within Settings.answer_seconds (20 s); the container is killed after 30 s.
GRACEFUL_SECONDS = 25
# Longer than the tunnel keeps its idle connections (90 s), so that none is closed under a request.
KEEP_ALIVE_SECONDS = 95
# Idle connections count as well, and the tunnel may keep 100.
MAX_CONNECTIONS = 256


def main() -> int:
    """Serve until SIGTERM, then finish what is in flight. Exit 2 on a bad variable or token."""
    logs.configure()
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if problem := Tokens(settings.tokens_file).problem():
        print(problem, file=sys.stderr)
        return 2
    uvicorn.run(
        create_app(settings),
        host="0.0.0.0",  # noqa: S104 - a container listens on all of its own networks
        port=int(os.environ.get("PORT") or 8000),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
