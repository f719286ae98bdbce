"""The shards of several hosts: what mailctl tells and asks, and the mover."""

from __future__ import annotations

import json
import logging
import os
import signal
import ssl
import sys
from threading import Event
from typing import Any

import click
from sqlalchemy.orm import Session

from usermgmt.cli_database import transaction
from usermgmt.database import Database
from usermgmt.mail.stores import Stores
from usermgmt.mover import BEAT, Mover, alive
from usermgmt.services import host_news, placement, shard_homes
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import SettingsError, database_url, read_secret


def carry_out(session: Session, wanted: dict[str, Any]) -> list[str]:
    """Do what mailctl asks for; the addresses that will be moved. Raises Refused, KeyError."""
    for shard in wanted.get("set", []):
        placement.set_shard(session, COMMAND_LINE, shard)
    moved: list[str] = []
    if move := wanted.get("move"):
        moved += placement.ask_for_moves(session, COMMAND_LINE, move["addresses"], move["to"])
    for each in wanted.get("spread", []):
        moved += placement.spread(session, COMMAND_LINE, each["from"], each["to"], each["mailboxes"])
    if taken := wanted.get("take_over"):
        placement.take_over(session, COMMAND_LINE, taken["from"], taken["to"], taken["volumes"])
    if back := wanted.get("back"):
        placement.host_is_back(session, COMMAND_LINE, back["name"], back["lost"])
    return moved


def answer(session: Session, wanted: dict[str, Any]) -> dict[str, Any]:
    """What is only asked for; empty: nothing."""
    if "homes" in wanted:
        return {"homes": shard_homes.homes_of(session, wanted["homes"])}
    if "hosts" in wanted:
        return {"hosts": host_news.of_hosts(session)}
    return {"found": shard_homes.find(session, wanted["find"])} if "find" in wanted else {}


@click.command()
def shards() -> None:
    """Carry out what standard input says (JSON, or nothing), all or nothing, and print how it stands.

    `set`: shards with name, node, open; `move`: addresses, to; `spread`: from, to, mailboxes;
    `take_over`: from, to, volumes; `back`: name, lost.
    To be told of it alone: `homes`: a shard; `find`: an address; `hosts`: anything.
    """
    said = sys.stdin.read().strip()
    try:
        with transaction() as session:
            wanted = json.loads(said) if said else {}
            moved = carry_out(session, wanted)
            session.flush()
            found = answer(session, wanted) or placement.placement(session) | {"asked": moved}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise click.ClickException(f"standard input: {type(error).__name__}: {error}") from error
    click.echo(json.dumps(found))


@click.command()
@click.option("--check", is_flag=True, help="Only say whether the one that runs here is at work.")
def mover(check: bool) -> None:
    """Move mailboxes between shards until SIGTERM: a service of its own, with the key of the stores."""
    if check:
        sys.exit(0 if alive(BEAT) else 1)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        trusted = ssl.create_default_context(cafile=os.environ.get("STORES_CA_FILE", ""))
        stores = Stores(read_secret(os.environ, "STORES_KEY_FILE"), trusted)
        database = Database(database_url(os.environ))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"STORES_CA_FILE is no file of certificates: {error}") from error
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    Mover(database, stores).run(ended)
