"""What gunicorn imports: `usermgmt.wsgi:app`."""

from __future__ import annotations

import sys

from usermgmt.app import create_app
from usermgmt.inside import MarkInside
from usermgmt.settings import Settings, SettingsError

try:
    app = MarkInside(create_app(Settings.from_environment()))
except SettingsError as error:
    # gunicorn's own exit status for an application that cannot start; a traceback would bury the message.
    print(f"usermgmt: {error}", file=sys.stderr)
    sys.exit(4)
