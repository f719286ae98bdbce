"""Response headers: nothing from elsewhere, never stored or framed, and no script but that of passkeys."""

from __future__ import annotations

from flask import Flask, Response, g

from usermgmt.parts import parts
from usermgmt.web import onward

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        # The icons of the style sheet are images inside it.
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The CSRF check of https pages compares the referrer, so it must not be dropped altogether.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex, nofollow",
}


def secure(response: Response) -> Response:
    """Add the headers; only the style sheet may be cached."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    if onward.asked():
        # The log-in ends at the webmail, and where a form may lead to holds for all redirects after it.
        origin = parts().settings.webmail_url.rstrip("/")
        allowed = f"form-action 'self' {origin};"
        response.headers["Content-Security-Policy"] = POLICY.replace("form-action 'self';", allowed)
    if g.get("script"):
        # A passkey cannot be asked for without a script: one file of ours, on its pages alone.
        response.headers["Content-Security-Policy"] += "; script-src 'self'"
    if response.mimetype != "text/css":
        response.headers["Cache-Control"] = "no-store"
    return response


def init_app(app: Flask) -> None:
    """Secure every response."""
    app.after_request(secure)
