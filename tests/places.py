"""Where the files lie that the tests of programs read: the generated repository as the template has it."""

from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
REPOSITORY = TEMPLATE / "{{cookiecutter.project_slug}}"
PLATFORM = REPOSITORY / "platform"
