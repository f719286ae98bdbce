"""Puts the API into the application."""

from __future__ import annotations

from flask import Flask
from flask_smorest import Api

from usermgmt.api import (
    admins,
    aliases,
    audit,
    document,
    domains,
    mail,
    mailboxes,
    overview,
    reports,
    senders,
    tokens,
    transfer,
)
from usermgmt.api.access import blueprint
from usermgmt.problem_json import TYPE, ProblemsSchema

#: Importing them gives the blueprint its operations.
MODULES = (domains, mailboxes, aliases, mail, senders, audit, overview, reports, transfer, admins, tokens)
BEARER = {"type": "http", "scheme": "bearer", "description": "A token that an owner made, with its scopes."}
SETTINGS = {
    "API_TITLE": "Mail accounts",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/api/v1",
    "API_SPEC_OPTIONS": {
        "components": {"securitySchemes": {"bearer": BEARER}},
        "security": [{"bearer": []}],
    },
}


class JsonApi(Api):
    """flask-smorest with our form of errors."""

    ERROR_SCHEMA = ProblemsSchema

    def _register_error_handlers(self) -> None:
        """Not for the whole application: web/errors.py knows both the pages and the API."""


def init_app(app: Flask) -> None:
    """Register the API."""
    app.config.update(SETTINGS)
    api = JsonApi(app)
    api.register_blueprint(blueprint)
    error = api.spec.components.responses["DEFAULT_ERROR"]["content"]
    error[TYPE] = error.pop("application/json")
    document.complete(app, api.spec)
