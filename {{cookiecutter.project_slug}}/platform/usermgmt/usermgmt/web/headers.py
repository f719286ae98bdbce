"""Response headers: nothing from elsewhere, never stored or framed, and no script but ours where one is."""

from __future__ import annotations

from flask import Flask, Response, g, url_for
from markupsafe import Markup

from usermgmt.parts import parts
from usermgmt.web import onward
from usermgmt.web.i18n import translate

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
        # A file of ours, on the pages that have one alone.
        response.headers["Content-Security-Policy"] += "; script-src 'self'"
    if response.mimetype != "text/css":
        response.headers["Cache-Control"] = "no-store"
    return response


def script(name: str) -> Markup:
    """The element for a script of ours, with the words that it needs; this page alone may run it."""
    g.script = True
    tag = Markup('<script src="{}" data-copy="{}" data-copied="{}" defer></script>')
    text = "Copy"
    words = [translate(text)]
    text = "Copied"
    return tag.format(url_for("static", filename=name), *words, translate(text))


def init_app(app: Flask) -> None:
    """Secure every response, and let templates ask for a script."""
    app.jinja_env.globals["script"] = script
    app.after_request(secure)
