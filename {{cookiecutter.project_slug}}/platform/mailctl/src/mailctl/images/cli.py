"""`mailctl images`: what moved upstream. Work is imported when a command runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command, group

app = group("The images that this repository is pinned to.")

WriteOption = Annotated[bool, typer.Option("--write", help="Pin what moved to its digest of today.")]


@app.callback()
def images() -> None:
    """The images that this repository is pinned to."""


@app.command()
def check(write: WriteOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Ask each registry what the pinned tag means today. Exit code 1: a registry did not say."""
    from mailctl.core.engine import connected
    from mailctl.images import pins
    from mailctl.images.check import ask
    from mailctl.images.show import show

    with command(repo, as_json) as context:
        with connected() as engine:
            answers = [ask(pin, engine) for pin in pins.pins(context.repo)]
        for answer in answers if write else ():
            if answer.digest and answer.moved:
                pins.write(context.repo, answer.pin, answer.digest)
        show(context.out, answers, write)
        ok = all(answer.digest for answer in answers)
        images_now = [answer.as_dict() for answer in answers]
        context.finish({"ok": ok, "written": write, "images": images_now})
