"""The second factor: codes of an authenticator app, and recovery codes for when it is lost."""

from __future__ import annotations

import hashlib
import secrets
import time

import pyotp
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from usermgmt.models import Mailbox, Passkey, RecoveryCode, TotpSecret, utc_now
from usermgmt.passwords import READABLE
from usermgmt.problems import Problem, Refused
from usermgmt.services.accounts import Account, belongs, owner
from usermgmt.services.audit import Actor, record

STEP_SECONDS = 30
#: Clocks of phones are a little wrong.
STEPS_AROUND = (-1, 0, 1)
RECOVERY_CODES = 10


def secret_of(session: Session, account: Account, confirmed: bool) -> TotpSecret | None:
    """The account's authenticator, or the one that is being set up."""
    state = TotpSecret.confirmed_at.is_not(None) if confirmed else TotpSecret.confirmed_at.is_(None)
    return session.scalar(select(TotpSecret).where(belongs(TotpSecret, account), state))


def passkeys_of(session: Session, account: Account) -> list[Passkey]:
    """The account's passkeys by name."""
    return list(session.scalars(select(Passkey).where(belongs(Passkey, account)).order_by(Passkey.name)))


def is_on(session: Session, account: Account) -> bool:
    """Whether a log-in needs a second factor."""
    return secret_of(session, account, True) is not None or bool(passkeys_of(session, account))


def follow(session: Session, account: Account) -> None:
    """Tell Dovecot whether mail programs need app passwords; the last factor takes its codes along."""
    session.flush()
    on = is_on(session, account)
    if isinstance(account, Mailbox):
        account.two_factor = on
    if not on:
        session.execute(delete(RecoveryCode).where(belongs(RecoveryCode, account)))


def set_up(session: Session, account: Account) -> TotpSecret:
    """A secret to be confirmed with its first code; the same one until then."""
    row = secret_of(session, account, False)
    if row is None:
        row = TotpSecret(secret=pyotp.random_base32(), **owner(account))
        session.add(row)
    return row


def uri(row: TotpSecret, account: Account, issuer: str) -> str:
    """What the authenticator app reads from the square."""
    return pyotp.TOTP(row.secret).provisioning_uri(name=account.email, issuer_name=issuer)


def step_of(row: TotpSecret, code: str) -> int | None:
    """The time step whose code this is."""
    clean, now = code.replace(" ", ""), int(time.time()) // STEP_SECONDS
    totp = pyotp.TOTP(row.secret)
    fitting = [now + off for off in STEPS_AROUND if totp.verify(clean, for_time=(now + off) * STEP_SECONDS)]
    return fitting[0] if fitting else None


def use_code(session: Session, row: TotpSecret, code: str) -> bool:
    """Whether the code is right and new. One statement decides, so that nobody uses it at the same time."""
    step = step_of(row, code)
    if step is None:
        return False
    unused = or_(TotpSecret.last_step.is_(None), TotpSecret.last_step < step)
    done = session.execute(update(TotpSecret).where(TotpSecret.id == row.id, unused).values(last_step=step))
    return bool(getattr(done, "rowcount", 0))


def confirm(session: Session, actor: Actor, account: Account, code: str) -> list[str]:
    """Turn the authenticator on; returns recovery codes if there were none. Raises Refused."""
    if secret_of(session, account, True) is not None:
        # Turning it off needs the password, so putting another in its place must not do without.
        wrong, instead = (
            "An authenticator app is on already.",
            "Turn it off first, on the page of your account.",
        )
        raise Refused(Problem("code", "", wrong, instead))
    row = secret_of(session, account, False)
    if row is None or not use_code(session, row, code):
        wrong = "This code is not the one that the app shows now."
        instead = "Wait for the next code; if it is refused too, check the clock of your phone."
        raise Refused(Problem("code", "", wrong, instead))
    session.execute(delete(TotpSecret).where(belongs(TotpSecret, account), TotpSecret.id != row.id))
    row.confirmed_at = utc_now()
    record(session, actor, "second-factor.add", account.email)
    follow(session, account)
    return first_codes(session, account)


def remove(session: Session, actor: Actor, account: Account) -> None:
    """Turn the authenticator off."""
    session.execute(delete(TotpSecret).where(belongs(TotpSecret, account)))
    record(session, actor, "second-factor.delete", account.email)
    follow(session, account)


def remove_all(session: Session, actor: Actor, account: Account) -> None:
    """For somebody who lost the second factor and the codes: an admin, or the command line, turns it off."""
    if not is_on(session, account):
        return
    for model in (TotpSecret, Passkey):
        session.execute(delete(model).where(belongs(model, account)))
    record(session, actor, "second-factor.reset", account.email)
    follow(session, account)


def digest(code: str) -> str:
    """What is kept of a recovery code: 68 random bits need no slow hash."""
    return hashlib.sha256(code.replace("-", "").replace(" ", "").encode()).hexdigest()


def codes_left(session: Session, account: Account) -> int:
    """How many recovery codes are unused."""
    unused = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.used_at.is_(None))
    return session.scalar(unused.where(belongs(RecoveryCode, account))) or 0


def first_codes(session: Session, account: Account) -> list[str]:
    """Recovery codes for who has none."""
    return [] if codes_left(session, account) else renew_codes(session, account)


def renew_codes(session: Session, account: Account) -> list[str]:
    """New recovery codes; the old ones stop working."""
    session.execute(delete(RecoveryCode).where(belongs(RecoveryCode, account)))
    codes = [
        "-".join("".join(secrets.choice(READABLE) for _ in range(4)) for _ in range(3))
        for _ in range(RECOVERY_CODES)
    ]
    session.add_all(RecoveryCode(code_hash=digest(code), **owner(account)) for code in codes)
    return codes


def use_recovery_code(session: Session, account: Account, code: str) -> bool:
    """Whether it is an unused recovery code; it is used then."""
    mine = (belongs(RecoveryCode, account), RecoveryCode.code_hash == digest(code))
    done = session.execute(
        update(RecoveryCode).where(*mine, RecoveryCode.used_at.is_(None)).values(used_at=utc_now())
    )
    return bool(getattr(done, "rowcount", 0))


def verify(session: Session, account: Account, code: str) -> bool:
    """Whether this is the account's code of now, or one of its recovery codes."""
    row = secret_of(session, account, True)
    return (row is not None and use_code(session, row, code)) or use_recovery_code(session, account, code)
