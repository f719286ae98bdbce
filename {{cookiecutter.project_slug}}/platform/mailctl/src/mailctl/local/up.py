"""`mailctl local up`, step by step: folders, secrets, images, the start, the tables, the first mailbox."""

from mailctl.core.compose import start_order
from mailctl.core.context import Context
from mailctl.core.database import migrate
from mailctl.core.engine import connected
from mailctl.core.local_stack import LocalStack
from mailctl.local import prepare
from mailctl.local.build import build
from mailctl.local.ports import published, refuse_busy
from mailctl.local.progress import Progress
from mailctl.local.seed import seed
from mailctl.local.start import pull_missing, start

STEPS = 7


def bring_up(context: Context, stack: LocalStack, wait: int) -> None:
    """Start the trial and wait at most `wait` seconds until all of it is healthy. Raises Refused."""
    progress = Progress(context.out, STEPS)
    with connected() as engine:
        config = stack.compose.config()
        own = [port for found in engine.containers(stack.project) for port in found.published]
        refuse_busy(published(config), own, stack.ports)
        prepare.refuse_foreign_volumes(engine, stack, config)
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
        progress.step("tables, first domain and mailbox")
        migrate(stack.compose, context.repo)
        seed(stack)
        progress.step("ready")
