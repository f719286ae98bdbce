"""Passkeys: the browser signs a challenge with a key that never leaves the device (WebAuthn)."""

from __future__ import annotations

import json
from dataclasses import dataclass

import webauthn
from sqlalchemy import select
from sqlalchemy.orm import Session
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import PublicKeyCredentialDescriptor

from usermgmt.models import Passkey, utc_now
from usermgmt.problems import Problem, Refused
from usermgmt.services import second_factor
from usermgmt.services.accounts import Account, belongs, kind_of, own, owner
from usermgmt.services.audit import Actor, record
from usermgmt.services.self_service import parse_label


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


def options_to_add(session: Session, account: Account, site: Site) -> tuple[str, bytes]:
    """What `navigator.credentials.create` gets, as JSON, and its challenge."""
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name=site.name,
        user_name=account.email,
        user_id=f"{kind_of(account)}:{account.id}".encode(),
        exclude_credentials=known(session, account),
    )
    return webauthn.options_to_json(options), options.challenge


def refuse() -> Refused:
    """Whatever is wrong with an answer, the person can do only this."""
    wrong, instead = "The browser's answer does not fit.", "Start again, with the same device and browser."
    return Refused(Problem("credential", "", wrong, instead))


def add(
    session: Session, actor: Actor, account: Account, site: Site, challenge: bytes, name: str, answer: str
) -> list[str]:
    """Keep a new passkey; returns recovery codes if there were none. Raises Refused."""
    label = parse_label(name)
    try:
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
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


def verify(session: Session, account: Account, site: Site, challenge: bytes, answer: str) -> bool:
    """Whether one of the account's passkeys signed the challenge."""
    try:
        credential_id = base64url_to_bytes(str(json.loads(answer)["rawId"]))
        mine = (belongs(Passkey, account), Passkey.credential_id == credential_id)
        row = session.scalar(select(Passkey).where(*mine).with_for_update())
        if row is None:
            return False
        verified = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return False
    row.sign_count, row.last_used_at = verified.new_sign_count, utc_now()
    return True


def remove(session: Session, actor: Actor, account: Account, row_id: int) -> None:
    """Forget a passkey; somebody else's stays."""
    row = own(session, Passkey, account, row_id)
    if row is not None:
        session.delete(row)
        record(session, actor, "passkey.delete", account.email)
        second_factor.follow(session, account)
