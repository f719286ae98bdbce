"""What every command shares: the repository, its settings and the two output streams."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer

from mailctl.core.env_file import EnvFile, read_env_file
from mailctl.core.errors import FAILED, Misuse, Problem, Refused, of_system
from mailctl.core.output import Output

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
RepoOption = Annotated[
    Path | None,
    typer.Option("--repo", envvar="MAILCTL_REPO", help="The repository; default: found from here upwards."),
]

#: What the root of a mail server's repository holds, of every version.
MARKS = ("docker-compose.yml", "answers.yml")


def group(text: str, **options: Any) -> typer.Typer:
    """A Typer app as all of mailctl's are; `text` says what its commands are for."""
    # Pretty tracebacks would print local variables, and those hold secrets.
    manners: dict[str, Any] = {
        "no_args_is_help": True,
        "rich_markup_mode": None,
        "pretty_exceptions_enable": False,
    }
    return typer.Typer(help=text or None, **(manners | options))


@dataclass
class Context:
    """The repository at `repo`, its `.env` at `env_path`; `environ` wins over `.env`, as in compose."""

    repo: Path
    out: Output
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    env_path: Path = Path()

    def __post_init__(self) -> None:
        if self.env_path == Path():
            self.env_path = self.repo / ".env"

    @cached_property
    def env_file(self) -> EnvFile:
        """The parsed `.env`. Raises Refused when it is missing or does not parse."""
        return read_env_file(self.env_path)

    def setting(self, name: str, default: str = "") -> str:
        """A compose-level variable, by compose's precedence: environment, then `.env`, then default."""
        return self.environ.get(name) or self.env_file.expanded(name, self.environ) or default

    def folder(self, name: str, default: str) -> Path:
        """A folder setting as an absolute path; relative ones count from the repository, as in compose."""
        return (self.repo / Path(self.setting(name, default)).expanduser()).absolute()

    def finish(self, document: dict[str, Any]) -> None:
        """Print the result as JSON, if that was asked for; what is not `ok` ends with exit code 1."""
        self.out.document(document)
        if not document["ok"]:
            raise typer.Exit(FAILED)

    @cached_property
    def project_name(self) -> str:
        """Compose's project name: COMPOSE_PROJECT_NAME, else `name:` of the compose file, else the folder."""
        return self.setting("COMPOSE_PROJECT_NAME") or self.slug

    @cached_property
    def slug(self) -> str:
        """`name:` of docker-compose.yml, which is the answer `project_slug`; else the folder's name."""
        import yaml

        try:
            name = yaml.safe_load((self.repo / "docker-compose.yml").read_text("utf-8")).get("name")
        except (yaml.YAMLError, AttributeError, OSError):
            name = None
        return name if isinstance(name, str) and name else self.repo.name


def find_repository(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds both files of MARKS. Raises Misuse."""
    for folder in (start, *start.parents):
        if all((folder / name).is_file() for name in MARKS):
            return folder
    raise Misuse(
        Problem(
            field="repository",
            value=str(start),
            wrong="no docker-compose.yml with an answers.yml here or in any folder above",
            fix="change into the mail server's repository, or name it with --repo",
        )
    )


def named_repository(folder: Path) -> Path:
    """The repository the user named. Raises Misuse when it is none."""
    folder = folder.expanduser().absolute()
    if all((folder / name).is_file() for name in MARKS):
        return folder
    raise Misuse(
        Problem(
            field="--repo",
            value=str(folder),
            wrong="not a mail server repository: docker-compose.yml or answers.yml is missing there",
            fix="name the folder that holds docker-compose.yml",
        )
    )


@contextmanager
def command(repo: Path | None, as_json: bool) -> Iterator[Context]:
    """Run a command's body: find the repository, and turn every refusal into its message and exit code."""
    out = Output(as_json)
    try:
        yield Context(named_repository(repo) if repo else find_repository(Path.cwd()), out)
    except Refused as refusal:
        out.refusal(refusal)
        raise typer.Exit(refusal.exit_code) from None
    except BrokenPipeError:
        raise  # whoever read the output has heard enough: no error to tell
    except OSError as error:
        out.refusal(of_system(error))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        out.note("interrupted; run the same command again to go on")
        raise typer.Exit(FAILED) from None
