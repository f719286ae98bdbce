"""What the application is made of, and where a request comes from: for pages and API alike."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, request

from usermgmt.database import Database
from usermgmt.mail.usage import Usage
from usermgmt.passwords import Hasher
from usermgmt.services.audit import normal_address
from usermgmt.settings import Settings

EXTENSION = "usermgmt"


@dataclass(frozen=True)
class Parts:
    """What the application is made of."""

    settings: Settings
    database: Database
    hasher: Hasher
    usage: Usage


def parts() -> Parts:
    """The parts of the application that handles this request."""
    found: Parts = current_app.extensions[EXTENSION]
    return found


def database() -> Database:
    """The database of the application that handles this request."""
    return parts().database


def client_address() -> str:
    """Where the request came from, as nginx says."""
    return normal_address(request.remote_addr)
