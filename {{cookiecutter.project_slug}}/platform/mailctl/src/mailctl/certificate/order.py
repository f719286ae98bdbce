"""One order at an ACME authority (RFC 8555), by the library of certbot."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mailctl.certificate.challenge import Challenge
from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    from acme.challenges import ChallengeResponse
    from acme.client import ClientV2
    from acme.messages import ChallengeBody, OrderResource

DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"
CALL_SECONDS, ORDER_SECONDS = 30, 180


def obtain(directory: str, account_key: bytes, key: bytes, host: str, challenge: Challenge) -> bytes:
    """The certificate of `host` and those up to its authority, as PEM. Raises Refused, and leaves nothing."""
    from acme import crypto_util

    with explained(directory):
        client = _account(directory, account_key)
        order = client.new_order(crypto_util.make_csr(key, [host]))
        answers = list(_answers(client, order))
        with challenge.answered(host, [value for _, _, value in answers]):
            for challb, response, _ in answers:
                client.answer_challenge(challb, response)
            # The library's clock is local time.
            end = datetime.now() + timedelta(seconds=ORDER_SECONDS)
            done = client.poll_and_finalize(order, end)
    return str(done.fullchain_pem).encode()


def _account(directory: str, account_key: bytes) -> "ClientV2":
    """Our account, made at the first time, without an address: nothing is mailed to it."""
    from acme import client, errors, messages
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from josepy.jwa import ES256
    from josepy.jwk import JWKEC

    key = JWKEC(key=load_pem_private_key(account_key, None))
    net = client.ClientNetwork(key, alg=ES256, user_agent="mailctl", timeout=CALL_SECONDS)
    acme = client.ClientV2(client.ClientV2.get_directory(directory, net), net)
    try:
        acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    except errors.ConflictError as known:
        there = messages.RegistrationResource(uri=known.location, body=messages.Registration())
        acme.query_registration(there)
    return acme


def _answers(
    client: "ClientV2", order: "OrderResource"
) -> Iterator["tuple[ChallengeBody, ChallengeResponse, str]"]:
    """What is asked of us by DNS, for names that the authority does not know as ours from last time."""
    from acme import challenges, messages

    for authorization in order.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue
        ways = [each for each in authorization.body.challenges if isinstance(each.chall, challenges.DNS01)]
        if not ways:
            fix = "name another directory in ACME_DIRECTORY"
            raise Refused(Problem("ACME_DIRECTORY", "this authority offers no proof by DNS", fix))
        yield ways[0], *ways[0].response_and_validation(client.net.key)


@contextmanager
def explained(directory: str) -> Iterator[None]:
    """Turn what goes wrong at the authority into a Refused."""
    import requests
    from acme import errors, messages

    later = "run the same command again later; the timer tries it every day"
    try:
        yield
    except errors.ValidationError as error:
        said = "; ".join(str(c.error) for a in error.failed_authzrs for c in a.body.challenges if c.error)
        raise Refused(_problem(directory, f"does not find the proof in DNS: {said}", later)) from None
    except (errors.TimeoutError, requests.RequestException) as error:
        said = str(error) or f"no end after {ORDER_SECONDS} seconds"
        raise Refused(_problem(directory, f"cannot be reached or takes too long: {said}", later)) from None
    except (errors.Error, messages.Error, ValueError, LookupError) as error:
        fix = f"correct what it names; {later}"
        raise Refused(_problem(directory, f"refused: {error}", fix)) from None


def _problem(directory: str, wrong: str, fix: str) -> Problem:
    text = "".join(c if c.isprintable() else " " for c in wrong)
    return Problem("certificate", text[:600], fix, value=directory)
