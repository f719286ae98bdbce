"""Language and time zone of a page: what the person chose, else what the browser prefers.

English is the source. The other languages are gettext catalogs in `translations`, read as they are: no build
step can be forgotten. Texts keep `{name}` for values, so that services can carry them untranslated.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import flask
import pytz
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from flask import Flask, current_app, g, request
from flask_babel import Babel, format_datetime, format_timedelta, get_locale
from werkzeug.wrappers import Response

FOLDER = Path(__file__).parent / "translations"
LANGUAGES = {"en": "English", "ja": "日本語"}
SOURCE = "en"
ZONES = tuple(pytz.common_timezones)
YEAR_SECONDS = 365 * 24 * 3600


@cache
def catalog(language: str) -> Translations:
    """What a language's `.po` file says; empty for the source."""
    file, compiled = FOLDER / language / "LC_MESSAGES" / "messages.po", BytesIO()
    if file.exists():
        with file.open("rb") as text:
            write_mo(compiled, read_po(text, locale=language))
    compiled.seek(0)
    return Translations(compiled if file.exists() else None)


def cookie_name(name: str) -> str:
    """The name under which a choice is kept; only this host can set it where there is TLS."""
    return f"__Host-{name}" if current_app.config["SESSION_COOKIE_SECURE"] else name


def chosen_for(name: str) -> str:
    """What the account that is logged in chose, else what this browser keeps; or nothing."""
    account = g.get("account")
    return (account and getattr(account, name)) or request.cookies.get(cookie_name(name), "")


def language() -> str:
    """The language of this request."""
    chosen = chosen_for("language")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, SOURCE)


def zone() -> str:
    """The time zone of this request."""
    chosen = chosen_for("timezone")
    return chosen if chosen in ZONES else "UTC"


def remember(response: Response, name: str, value: str) -> None:
    """Keep a choice for a year in this browser."""
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(
        cookie_name(name), value, max_age=YEAR_SECONDS, secure=secure, httponly=True, samesite="Lax"
    )


def texts() -> Translations:
    """The catalog of this request: a list asks for hundreds of texts, so it is chosen once."""
    if "texts" not in g:
        g.texts = catalog(str(get_locale()))
    found: Translations = g.texts
    return found


def translate(text: str, **values: object) -> str:
    """`text` in the language of this request, with `{name}` filled in from `values`."""
    template: str = texts().gettext(text)
    return template.format(**values) if values else template


def translate_count(one: str, more: str, count: int) -> str:
    """The text for this number of things, with `{count}` filled in."""
    template: str = texts().ngettext(one, more, count)
    return template.format(count=count)


def moment(at: datetime) -> str:
    """A stored time (UTC without a zone) as the reader writes it, in the reader's zone."""
    written: str = format_datetime(at.replace(tzinfo=UTC), "medium")
    return written


def ago(at: datetime) -> str:
    """How long ago a stored time was, in words: `2 hours ago`."""
    written: str = format_timedelta(at.replace(tzinfo=UTC) - datetime.now(UTC), add_direction=True)
    return written


def name_language(response: flask.Response) -> flask.Response:
    """Tell caches and readers which language the page is in."""
    if response.mimetype == "text/html":
        response.content_language = [str(get_locale())]
        response.vary.update(("Accept-Language", "Cookie"))
    return response


def init_app(app: Flask) -> None:
    """Make `_()`, `language()` and the filters `moment` and `ago` known to templates."""
    Babel(app, configure_jinja=False, locale_selector=language, timezone_selector=zone)
    for name in LANGUAGES:
        catalog(name)
    app.jinja_env.globals.update(
        _=translate, _n=translate_count, language=language, languages=LANGUAGES, zone=zone
    )
    app.jinja_env.filters.update(moment=moment, ago=ago)
    app.after_request(name_language)
