"""`mailctl local up`: the whole stack on this machine without any account, ready to log in to."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.context import Context, JsonOption, RepoOption, command

if TYPE_CHECKING:
    from mailctl.local.stack import LocalStack

OverrideOption = Annotated[
    list[Path] | None,
    typer.Option("--override", help="A further compose file; may be given several times."),
]
WaitOption = Annotated[int, typer.Option("--wait", min=1, help="Seconds to wait until all is healthy.")]

STEPS = 7


def run(
    override: OverrideOption = None,
    wait: WaitOption = 600,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the whole stack locally, without any account, and print how to log in."""
    from mailctl.local.info import read_info, show_info
    from mailctl.local.stack import LocalStack

    with command(repo, as_json) as context:
        stack = LocalStack.of(context, override or ())
        _bring_up(context, stack, wait)
        info = read_info(stack)
        show_info(context.out, info)
        context.out.document({"ok": True, **asdict(info)})


def _bring_up(context: Context, stack: "LocalStack", wait: int) -> None:
    from mailctl.compose import start_order
    from mailctl.engine import connected
    from mailctl.local import prepare
    from mailctl.local.build import build
    from mailctl.local.ports import published, refuse_busy
    from mailctl.local.progress import Progress
    from mailctl.local.seed import seed
    from mailctl.local.start import pull_missing, start

    progress = Progress(context.out, STEPS)
    with connected() as engine:
        config = stack.compose.config()
        own = [port for found in engine.containers(stack.project) for port in found.published]
        refuse_busy(published(config), own, stack.ports)
        progress.step("folders below .local/")
        prepare.make_folders(stack, config)
        progress.step("secrets and certificates")
        for warning in prepare.make_secrets(stack).warnings:
            context.out.warn(warning)
        prepare.make_sink_certificate(stack, prepare.sink_names(stack, config))
        progress.step("images from registries")
        pull_missing(stack.compose, engine, config, progress)
        progress.step("images built here")
        build(stack.compose, [name for name, s in config["services"].items() if "build" in s], progress)
        progress.step(f"start, and wait for health (at most {wait} s)")
        start(engine, stack, start_order(config), wait, progress)
        progress.step("first domain and mailbox")
        seed(stack)
        progress.step("ready")
