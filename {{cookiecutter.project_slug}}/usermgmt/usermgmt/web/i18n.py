"""English is the source; other languages are catalogs of English text to translation."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from flask import Flask, Response, request

FOLDER = Path(__file__).parent / "translations"
SOURCE = "en"


@cache
def catalogs() -> dict[str, dict[str, str]]:
    """All catalogs by language."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.json")}


def language() -> str:
    """What the browser prefers of what there is."""
    return request.accept_languages.best_match([SOURCE, *catalogs()], SOURCE) or SOURCE


def translate(text: str, **values: object) -> str:
    """`text` in the language of this request, with `{name}` filled in from `values`."""
    template = catalogs().get(language(), {}).get(text, text)
    return template.format(**values) if values else template


def name_language(response: Response) -> Response:
    """Tell caches and readers which language the page is in."""
    if response.mimetype == "text/html":
        response.content_language = [language()]
        response.vary.add("Accept-Language")
    return response


def init_app(app: Flask) -> None:
    """Make `_()` and `language()` known to templates."""
    app.jinja_env.globals.update(_=translate, language=language)
    app.after_request(name_language)
