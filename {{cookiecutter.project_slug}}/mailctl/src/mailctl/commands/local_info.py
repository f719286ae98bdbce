"""`mailctl local info`: the addresses and passwords of the local stack, again."""

from dataclasses import asdict

from mailctl.context import JsonOption, RepoOption, command


def run(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Print the addresses and passwords of the local stack."""
    from mailctl.local.info import read_info, show_info
    from mailctl.local.stack import LocalStack

    with command(repo, as_json) as context:
        info = read_info(LocalStack.of(context))
        show_info(context.out, info)
        context.out.document({"ok": True, **asdict(info)})
