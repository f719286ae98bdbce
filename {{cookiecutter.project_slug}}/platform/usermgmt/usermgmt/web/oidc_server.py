"""The OAuth 2 and OpenID Connect rules, which are Authlib's, for our one client: the webmail.

Authorization code with PKCE (S256 only), one redirect address, a client secret; then refresh tokens.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask

from usermgmt.models import OidcGrant
from usermgmt.parts import EXTENSION, database, parts
from usermgmt.services import oidc
from usermgmt.services.oidc_keys import signing_key

CALLBACK = "index.php/login/oauth"
# TLS ends at Cloudflare: what comes here, from nginx and the webmail's server, is plain inside the stack.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "true"


class Webmail(ClientMixin):
    """The webmail's server, as Authlib asks about a client."""

    def get_client_id(self) -> str:
        """Its name."""
        return oidc.CLIENT

    def get_default_redirect_uri(self) -> None:
        """None: the webmail says where it wants its answer, and it is compared."""
        return

    def get_allowed_scope(self, scope: str) -> str | None:
        """All scopes or none: it needs them all."""
        return scope if set((scope or "").split()) == set(oidc.SCOPES) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """One address, letter for letter."""
        return redirect_uri == redirect_address()

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is the one of the secret file."""
        return hmac.compare_digest(client_secret.encode(), parts().settings.webmail_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """In the form, as the webmail sends it; never without."""
        return method == "client_secret_post"

    def check_response_type(self, response_type: str) -> bool:
        """A code."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """A code for tokens, then refresh tokens."""
        return grant_type in ("authorization_code", "refresh_token")


@dataclass(frozen=True)
class Held:
    """A code or refresh token that was used up by this request, as Authlib asks about it."""

    row: OidcGrant

    def get_redirect_uri(self) -> str:
        """Where the code was sent to."""
        return redirect_address()

    def get_scope(self) -> str:
        """What it is for."""
        return self.row.scope

    def check_client(self, client: Webmail) -> bool:
        """There is one client."""
        return True


class OnlyS256(CodeChallenge):
    """PKCE is not optional, and its plain method proves nothing."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """The request has a challenge, and says how it was made."""
        super().validate_code_challenge(grant, redirect_uri)
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("'code_challenge_method' must be S256.")

    def get_authorization_code_challenge(self, authorization_code: Held) -> str:
        """What the verifier must fit."""
        return authorization_code.row.challenge

    def get_authorization_code_challenge_method(self, authorization_code: Held) -> str:
        """The only one."""
        return "S256"


def held(kind: str, token: str) -> Held | None:
    """Use a code or refresh token up."""
    with database().transaction() as db:
        row = oidc.use(db, kind, token)
    return Held(row) if row else None


def person(token: Held) -> oidc.Opened | None:
    """Whose token it is, while that session lasts."""
    with database().transaction() as db:
        return oidc.opened(db, token.row.session_id)


class Code(AuthorizationCodeGrant):
    """The webmail exchanges the code that the browser brought."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Nothing: `generate_authorization_code` has kept it."""

    def generate_authorization_code(self) -> str:
        """A code for the session of this browser."""
        asked = self.request.payload.data
        with database().transaction() as db:
            return oidc.grant(
                db,
                oidc.CODE,
                self.request.user.session_id,
                self.request.scope,
                asked.get("code_challenge", ""),
                asked.get("nonce", "")[:255],
            )

    def query_authorization_code(self, code: str, client: Webmail) -> Held | None:
        """It is used up by this, whatever else of the request is wrong."""
        return held(oidc.CODE, code)

    def delete_authorization_code(self, authorization_code: Held) -> None:
        """Nothing: it is kept until it expires, so that a second use is noticed."""

    def authenticate_user(self, authorization_code: Held) -> oidc.Opened | None:
        """Whose it is."""
        return person(authorization_code)


class Refresh(RefreshTokenGrant):
    """The webmail exchanges its refresh token for new tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Held | None:
        """It is used up by this."""
        return held(oidc.REFRESH, refresh_token)

    def authenticate_user(self, refresh_token: Held) -> oidc.Opened | None:
        """Whose it is."""
        return person(refresh_token)

    def revoke_old_credential(self, refresh_token: Held) -> None:
        """Nothing: `authenticate_refresh_token` has used it up."""


def redirect_address() -> str:
    """The one address that codes are sent to."""
    return parts().settings.webmail_url + CALLBACK


def kind_of_token(*, scope: str, **_more: object) -> dict[str, object]:
    """What an answer says about its tokens, which `fill_in` adds."""
    return {"token_type": "Bearer", "expires_in": int(oidc.ACCESS_LASTS.total_seconds()), "scope": scope}


def fill_in(token: dict[str, object], request: Any) -> None:
    """Add the tokens themselves to an answer, for `request.user`."""
    settings, who = parts().settings, request.user
    with database().transaction() as db:
        key = signing_key(db, settings.session_key)
        token["access_token"] = oidc.access_token(key, settings.issuer, who)
        token["refresh_token"] = oidc.grant(db, oidc.REFRESH, who.session_id, str(token["scope"]))
    if request.authorization_code:
        token["id_token"] = oidc.identity_token(
            key, settings.issuer, who, request.authorization_code.row.nonce
        )


server = AuthorizationServer()


def init_app(app: Flask) -> None:
    """Let Authlib's rules know ours."""
    server.init_app(app, lambda client_id: Webmail() if client_id == oidc.CLIENT else None, fill_in)
    server.register_token_generator("default", kind_of_token)
    app.jinja_env.globals["webmail_url"] = app.extensions[EXTENSION].settings.webmail_url


server.register_grant(Code, [OnlyS256()])
server.register_grant(Refresh)
