"""The page that the `type` of a problem of the JSON API leads to: without a log-in."""

from __future__ import annotations

from flask import Blueprint, render_template

from usermgmt.problem_json import KINDS, PAGE

blueprint = Blueprint("problem_types", __name__)


@blueprint.get(PAGE)
def show() -> str:
    """What each type means, and what a program can do."""
    return render_template("problem_types.html", kinds=KINDS)
