"""Passkeys: the browser signs a challenge with a key that never leaves the device (WebAuthn).

After a password, a passkey is the second step. Alone it is both: the device has to recognise the person
first, by a PIN, a finger or a face, and says who that is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import webauthn
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from usermgmt.models import Passkey, utc_now
from usermgmt.problems import Problem, Refused
from usermgmt.services import second_factor
from usermgmt.services.accounts import Account, belongs, kind_of, load, own, owner
from usermgmt.services.audit import Actor, record
from usermgmt.services.self_service import parse_label

#: How long a page may be open before its button is pressed.
CHALLENGE_LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class Challenge:
    """What a device is to sign, and when it was asked to (UTC)."""

    value: bytes
    issued: datetime


@dataclass(frozen=True)
class Site:
    """Whom a passkey is for: the host, the origin that the browser signs, and the name it shows."""

    host: str
    origin: str
    name: str


def known(session: Session, account: Account) -> list[PublicKeyCredentialDescriptor]:
    """The account's credentials."""
    return [
        PublicKeyCredentialDescriptor(id=each.credential_id)
        for each in second_factor.passkeys_of(session, account)
    ]


def handle(account: Account) -> bytes:
    """How a device knows the account."""
    return f"{kind_of(account)}:{account.id}".encode()


def options_to_add(session: Session, account: Account, site: Site) -> tuple[str, bytes]:
    """What `navigator.credentials.create` gets, as JSON, and its challenge."""
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name=site.name,
        user_name=account.email,
        user_id=handle(account),
        # So that the device finds it without a name, where it can keep it; old security keys cannot.
        authenticator_selection=AuthenticatorSelectionCriteria(resident_key=ResidentKeyRequirement.PREFERRED),
        exclude_credentials=known(session, account),
    )
    return webauthn.options_to_json(options), options.challenge


def refuse() -> Refused:
    """Whatever is wrong with an answer, the person can do only this."""
    wrong, instead = "The browser's answer does not fit.", "Start again, with the same device and browser."
    return Refused(Problem("credential", "", wrong, instead))


def add(
    session: Session,
    actor: Actor,
    account: Account,
    site: Site,
    challenge: Challenge | None,
    name: str,
    answer: str,
) -> list[str]:
    """Keep a new passkey; returns recovery codes if there were none. Raises Refused."""
    label = parse_label(name)
    if challenge is None:
        raise refuse()
    try:
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge.value,
            expected_rp_id=site.host,
            expected_origin=site.origin,
        )
    except (WebAuthnException, ValueError) as error:
        raise refuse() from error
    taken = select(Passkey.id).where(Passkey.credential_id == verified.credential_id)
    if session.scalar(taken) is not None:
        raise refuse()
    session.add(
        Passkey(
            name=label,
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            **owner(account),
        )
    )
    record(session, actor, "passkey.add", account.email)
    second_factor.follow(session, account)
    return second_factor.first_codes(session, account)


def options_to_use(session: Session, account: Account, site: Site) -> tuple[str, bytes]:
    """What `navigator.credentials.get` gets, as JSON, and its challenge."""
    options = webauthn.generate_authentication_options(
        rp_id=site.host, allow_credentials=known(session, account)
    )
    return webauthn.options_to_json(options), options.challenge


def options_alone(site: Site) -> tuple[str, bytes]:
    """The same for whoever has not said who they are."""
    options = webauthn.generate_authentication_options(
        rp_id=site.host, user_verification=UserVerificationRequirement.REQUIRED
    )
    return webauthn.options_to_json(options), options.challenge


def signed(
    session: Session,
    which: Iterable[ColumnElement[bool]],
    site: Site,
    challenge: Challenge | None,
    answer: str,
    recognised: bool = False,
) -> Passkey | None:
    """The passkey, one of `which`, that signed the challenge; `recognised`: its device knew the person.

    An answer counts once: the challenge has to be younger than the passkey's last use, also where the device
    counts nothing.
    """
    if challenge is None:
        return None
    try:
        credential_id = base64url_to_bytes(str(json.loads(answer)["rawId"]))
        rows = select(Passkey).where(Passkey.credential_id == credential_id, *which)
        row = session.scalar(rows.with_for_update())
        if row is None or (row.last_used_at and challenge.issued <= row.last_used_at):
            return None
        verified = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge.value,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=recognised,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    row.sign_count, row.last_used_at = verified.new_sign_count, utc_now()
    return row


def verify(session: Session, account: Account, site: Site, challenge: Challenge | None, answer: str) -> bool:
    """Whether one of the account's passkeys signed the challenge."""
    return signed(session, [belongs(Passkey, account)], site, challenge, answer) is not None


def find_account(
    session: Session, kind: str, site: Site, challenge: Challenge | None, answer: str
) -> Account | None:
    """The account of that kind whose passkey signed the challenge, if it may log in now."""
    number = Passkey.admin_id if kind == "admin" else Passkey.mailbox_id
    row = signed(session, [number.is_not(None)], site, challenge, answer, recognised=True)
    account = load(session, kind, row.admin_id or row.mailbox_id or 0) if row else None
    if account is None or json.loads(answer)["response"].get("userHandle") != bytes_to_base64url(
        handle(account)
    ):
        return None
    return account


def remove(session: Session, actor: Actor, account: Account, row_id: int) -> None:
    """Forget a passkey; somebody else's stays."""
    row = own(session, Passkey, account, row_id)
    if row is not None:
        session.delete(row)
        record(session, actor, "passkey.delete", account.email)
        second_factor.follow(session, account)
