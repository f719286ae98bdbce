"""Measures what users wait for and what the stack uses, and writes the figures into benchmarks/README.md.

python -m benchmarks.run [new] [gate] [stack] [inbound] [backup] [offsite] [deploy] [accounts] [scaling]
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import yaml

if TYPE_CHECKING:
    from tests.stack.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
README = Path(__file__).with_name("README.md")
REPEATS = 5
# As for the stack tests: a second run on one machine sets another.
FIRST_PORT = int(os.environ.get("STACK_FIRST_PORT", "22000"))
# Two runs with one name would share their containers.
SLUG = f"{os.environ.get('STACK_PREFIX', '')}-bench".strip("-")
# Longest first answer of a container's counters after the stack is idle.
IDLE_SAMPLES = 5
#: The services whose own checkers the gate asks.
CHECKED = ("dovecot", "rspamd", "nginx", "clamav", "roundcube")


class Row(NamedTuple):
    """One line of the table: what, the figure, its baseline, their ratio."""

    what: str
    figure: str
    baseline: str
    ratio: str


def timed(*command: str) -> float:
    """Seconds of one run of a command that must succeed; it gets a new folder as its last argument."""
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        subprocess.run(
            [*command, folder], cwd=ROOT, check=True, capture_output=True, stdin=subprocess.DEVNULL
        )
        return perf_counter() - start


def alternately(*measures: Callable[[], float]) -> list[float]:
    """The median of each measure over several rounds, in turns, so that the machine's mood hits all alike."""
    rounds = [[measure() for measure in measures] for _ in range(REPEATS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def bench_new() -> list[Row]:
    """`make new` without the check of the result, against a bare cookiecutter run of the same template."""
    cookiecutter = [
        str(Path(sys.executable).with_name("cookiecutter")),
        str(ROOT),
        "--no-input",
        "--output-dir",
    ]
    ours = [sys.executable, "-m", "tools.new", "--no-check", "--out"]
    bare, new = alternately(lambda: timed(*cookiecutter), lambda: timed(*ours))
    return [
        Row(
            "`make new`, without `make check`",
            f"{new:.2f} s",
            f"bare cookiecutter {bare:.2f} s",
            f"{new / bare:.2f}",
        )
    ]


@contextmanager
def local_stack(prepare: Callable[[Path], None] = lambda _: None) -> Iterator[tuple[Stack, str]]:
    """A generated repository's local stack, not started yet, and what its images are."""
    from cookiecutter.main import cookiecutter

    from tests.stack.stack import Stack
    from tools import engine, standins

    files = ("docker-compose.yml", "compose.local.yml")
    engine.ensure(with_debootstrap=True)
    choice = standins.choose(files=files)
    with standins.shown_progress() as progress:
        if choice.standins:
            standins.build(progress)
    with tempfile.TemporaryDirectory() as folder:
        answers = {"project_slug": SLUG}
        project = Path(cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=folder))
        prepare(project)
        overrides = (standins.override(project, files),) if choice.standins else ()
        stack = Stack(project, f"{SLUG}-local", overrides, FIRST_PORT)
        try:
            yield stack, "stand-ins" if choice.standins else "upstream images"
        finally:
            stack.down()


def bench_stack() -> list[Row]:
    """From `up` to all healthy, and the idle memory of each service against its limit."""
    with local_stack() as (stack, kind):
        stack.up()
        stack.mailctl("local", "down")
        start = perf_counter()
        stack.up()
        rows = [Row(f"`make local`, images built, {kind}", f"{perf_counter() - start:.0f} s", "none", "")]
        return rows + [memory(stack, service) for service in stack.services()]


def bench_inbound() -> list[Row]:
    """Mails a second through mailserver-api into the mailbox, against smtp-source into the same Postfix."""
    from benchmarks import inbound

    with local_stack(inbound.prepare) as (stack, _), tempfile.TemporaryDirectory() as folder:
        stack.up()
        resolver = inbound.start_resolver(stack)
        try:
            measured = inbound.rates(stack, Path(folder))
        finally:
            subprocess.run(["docker", "rm", "--force", resolver], check=True, capture_output=True)
    return [
        Row(
            f"API → mailbox, {at_once} at once, {mailboxes:,} mailboxes in the database",
            f"{ours:.1f} mails/s",
            f"smtp-source {theirs:.1f} mails/s",
            f"{ours / theirs:.2f}",
        )
        for mailboxes, at_once, ours, theirs in measured
    ]


def bench_backup() -> list[Row]:
    """A daily snapshot, its restore and its upload against rsync, restic, cp and the mails' own size."""
    from benchmarks import backup

    if missing := [name for name in ("rsync", "restic") if not shutil.which(name)]:
        raise RuntimeError(f"not installed: {' '.join(missing)}")
    # Not below /tmp, which is memory on many machines.
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder, mailboxes = Path(name), Path(name) / "mailboxes"
        backup.tree(mailboxes)
        rows = [
            Row(
                f"snapshot of {backup.MAILS:,} mails, {day}",
                f"{took['ours']:.1f} s",
                f"{other} {took[other]:.1f} s",
                f"{took['ours'] / took[other]:.2f}",
            )
            for day, took in backup.days(folder, mailboxes).items()
            for other in (backup.RSYNC, backup.RESTIC)
        ]
        ours, copied = backup.restore(folder, mailboxes)
        rows.append(
            Row(
                f"restore of {backup.MAILS:,} mails, each compared",
                f"{ours:.1f} s",
                f"cp -a {copied:.1f} s",
                f"{ours / copied:.2f}",
            )
        )
        return rows + uploads(backup.uploaded(folder, mailboxes))


def uploads(sizes: tuple[int, int, int, int]) -> list[Row]:
    """Bytes on S3 against those of the mails: first upload, then the day after."""
    rows = []
    for title, mails, objects in (("all of them", *sizes[:2]), ("the next day's 1 %", *sizes[2:])):
        figure, baseline = f"{objects / 2**20:.1f} MiB", f"the mails {mails / 2**20:.1f} MiB"
        rows.append(Row(f"bytes on S3, {title}", figure, baseline, f"{objects / mails:.2f}"))
    return rows


def bench_offsite() -> list[Row]:
    """Bytes and memory of a first copy to S3 and of the next, by `mailctl sync` and by restic, in turns."""
    from benchmarks import offsite

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if not shutil.which("restic"):
        raise RuntimeError("not installed: restic")
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        found = offsite.measure(Path(folder), offsite.MAILS)
    for mark, title in (("old", "all of them"), ("new", "2 % new")):
        day = found[mark]
        ours, other = day["packs, S3"], day["restic, S3"]
        for what, unit, size in (("stored", "MiB", 2**20), ("memory", "MiB", 1), ("seconds", "s", 1)):
            one, two = ours[what] / size, other[what] / size
            about = f"copy of {offsite.MAILS:,} mails to S3, {title}: {what}"
            rows.append(Row(about, f"{one:.1f} {unit}", f"restic {two:.1f} {unit}", f"{one / two:.2f}"))
    return rows


def bench_deploy() -> list[Row]:
    """Deployments by mailctl against Compose's own way to bring a project up, on one host."""
    from benchmarks import deploy
    from tools import engine, standins

    engine.ensure()
    standin = standins.choose(files=("docker-compose.yml",)).standins
    if standin:
        with standins.shown_progress() as progress:
            standins.build(progress)
    took = deploy.measure(f"{SLUG}-target", FIRST_PORT, standin)
    same, one, every = took["up, no change"], took["up, one service"], took["up, all services"]
    against = (
        ("no change", same),
        ("verification", same),
        ("one service", one),
        ("rollback", one),
        ("all services", every),
        ("mail held for all services", every),
    )
    up = "docker compose up -d --wait"
    return [
        Row(f"deploy: {what}", f"{took[what]:.1f} s", f"{up} {base:.1f} s", f"{took[what] / base:.2f}")
        for what, base in against
    ]


def bench_gate() -> list[Row]:
    """`make check` of a generated repository, as it is in git, against one bare `checkov -d .` of it: without
    and with the checkers of the services (in stand-ins where no registry answers).
    """
    from cookiecutter.main import cookiecutter

    environment = ROOT / ".venv-policies"
    subprocess.run(["make", "--silent", f"{environment.name}/.done"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(cookiecutter(str(ROOT), no_input=True, output_dir=folder))
        who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com")
        for words in (
            ("init", "--quiet"),
            ("add", "--all"),
            (*who, "commit", "--quiet", "--message", "first"),
        ):
            subprocess.run(["git", *words], cwd=project, check=True)
        ours = ("make", "--silent", "check", f"GATE={environment}")
        every = (*ours, f"CHECK={' '.join(service_images(project))}")
        bare = (str(environment / "bin" / "checkov"), "-d", ".", "--skip-download", "--quiet", "--compact")
        ran = [gate_run(project, *ours), gate_run(project, *every)]

        def forgotten(*command: str) -> float:
            shutil.rmtree(environment / "gate-cache", ignore_errors=True)
            return seconds(project, *command)

        measures = [
            # 1: checkov has findings of its own, which the gate leaves out with reasons.
            lambda: seconds(project, *bare, good=(0, 1)),
            lambda: forgotten(*every),
            lambda: forgotten(*ours),
            # Right after the run before, with nothing changed.
            lambda: seconds(project, *ours),
        ]
        checkov, with_images, cold, again = alternately(*measures)
    measured = (
        (f"nothing remembered, no image at hand: {ran[0]} rules and checkers", cold),
        (f"nothing remembered, the services' images at hand: {ran[1]} rules and checkers", with_images),
        ("nothing changed since the run before", again),
    )
    baseline = f"bare checkov -d . {checkov:.2f} s"
    return [
        Row(f"`make check`, {title}", f"{gate:.2f} s", baseline, f"{gate / checkov:.2f}")
        for title, gate in measured
    ]


def bench_accounts() -> list[Row]:
    """The pages of mailboxes at 1,000 and 10,000 of them, against the same run at 100."""
    from benchmarks import accounts

    rows = []
    for name, sizes in accounts.measure().items():
        few = sizes[accounts.SIZES[0]]
        for size in accounts.SIZES[1:]:
            one = sizes[size]
            figure = f"{one.queries} queries, {one.seconds * 1000:.0f} ms, {one.size / 1000:.0f} kB"
            baseline = f"at 100: {few.queries} queries, {few.seconds * 1000:.0f} ms"
            rows.append(
                Row(f"{name}, {size:,} mailboxes", figure, baseline, f"{one.seconds / few.seconds:.2f}")
            )
    return rows


def bench_scaling() -> list[Row]:
    """What one mail, mail program, page and row cost, and what many mailboxes need (docs/scaling.md)."""
    from benchmarks import scaling

    with local_stack() as (stack, _):
        stack.up()
        costs = scaling.measure(stack)
    return scaling_rows(costs)


def scaling_rows(costs) -> list[Row]:
    """What `benchmarks.scaling` measured, and what follows from it."""
    from benchmarks import scaling

    rows = []
    for what, title in (
        ("mail", f"inbound mail of {scaling.SIZE // 1000} kB"),
        ("page", "page of the webmail"),
    ):
        whole = sum(use.seconds for use in costs[what].values())
        for name, use in sorted(costs[what].items(), key=lambda each: -each[1].seconds):
            if use.seconds > whole / 50:
                figure = f"{use.seconds * 1000:.1f} ms of a processor"
                all_of_it = f"all services {whole * 1000:.1f} ms"
                rows.append(Row(f"one {title}: {name}", figure, all_of_it, f"{use.seconds / whole:.2f}"))
    size = sum(use.received for use in costs["mail"].values())
    mail = f"the mail {scaling.SIZE / 1000:.0f} kB"
    rows.append(
        Row("one inbound mail: between services", f"{size / 1000:.0f} kB", mail, f"{size / scaling.SIZE:.1f}")
    )
    memory = costs["connection"]["dovecot"].memory
    limit = f"Dovecot's limit {2**10} MiB"
    rows.append(Row("one open mail program", f"{memory / 2**20:.2f} MiB", limit, f"{memory / 2**30:.4f}"))
    for name, size in costs["rows"].items():
        rows.append(Row(f"one row of {name}", f"{size:.0f} bytes", "", ""))
    for at_once in scaling.AT_ONCE:
        shared, file = (costs["ledger"][where, at_once] for where in ("database", "file"))
        title = f"outcomes on disk, {at_once} at once, in the shared ledger"
        rows.append(Row(title, f"{shared:.0f} a second", f"a file {file:.0f}", f"{shared / file:.2f}"))
    for size in (1_000, 10_000, 100_000, 1_000_000):
        need = scaling.plan(size, costs)
        figure = f"{need.cores:.1f} processors, {need.memory / 2**30:.0f} GiB of connections"
        figure += f", {need.disk / 10**12:.1f} TB, {need.between / 10**9:,.0f} GB a day between services"
        limits = ", ".join(f"{word} {number}" for word, number in need.limits.most_common())
        rows.append(Row(f"{size:,} mailboxes", figure, f"hosts by {limits}", f"{need.hosts} hosts"))
    return rows


def service_images(project: Path) -> list[str]:
    """Return the gate's words for the image of each service with a checker, once every image is here."""
    from tools import engine, standins

    files = ("docker-compose.yml",)
    engine.ensure()
    chosen, override = {}, None
    if standins.choose(files=files).standins:
        with standins.shown_progress() as progress:
            standins.build(progress)
        override = standins.override(project, files)
        services = yaml.safe_load(override.read_text(encoding="utf-8"))["services"]
        chosen = {name: each["image"] for name, each in services.items() if "image" in each}
    given = [word for file in (*files, override) if file for word in ("--file", str(file))]
    environment = ("--env-file", ".env.example")
    compose = ["docker", "compose", *given, *environment]
    if not chosen:
        subprocess.run([*compose, "pull", "--quiet", "--ignore-buildable"], cwd=project, check=True)
    subprocess.run([*compose, "build", "--quiet", "postfix"], cwd=project, check=True)
    return [word for name in CHECKED if name in chosen for word in ("--image", f"{name}={chosen[name]}")]


def seconds(project: Path, *command: str, good: tuple[int, ...] = (0,)) -> float:
    """Seconds of one run of a command in a repository; its exit code must be a good one."""
    start = perf_counter()
    done = subprocess.run(command, cwd=project, capture_output=True, check=False)
    if done.returncode not in good:
        raise RuntimeError(done.stdout.decode() + done.stderr.decode())
    return perf_counter() - start


def gate_run(project: Path, *command: str) -> int:
    """Run the gate once, so that nothing is installed while the clock runs; return how much ran."""
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    return int(re.search(r"(\d+) rules and checkers ran", done.stdout)[1])


def memory(stack, service: str) -> Row:
    """Idle memory of a service: the median of a few samples, in MiB, against its limit."""
    limit = stack.inspect(service)["HostConfig"]["Memory"] / 2**20
    command = ["docker", "stats", "--no-stream", "--format", "{{json .}}", stack.container(service)]
    samples = []
    for _ in range(IDLE_SAMPLES):
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        samples.append(mebibytes(json.loads(printed)["MemUsage"].split("/")[0]))
    used = statistics.median(samples)
    return Row(
        f"idle memory of {service}", f"{used:.0f} MiB", f"limit {limit:.0f} MiB", f"{used / limit:.2f}"
    )


def mebibytes(text: str) -> float:
    """The engine's way of writing a size ("12.3MiB") as MiB."""
    found = re.fullmatch(r"([\d.]+)([KMG]?i?B)", text.strip())
    if not found:
        raise ValueError(f"not a size: {text!r}")
    return float(found[1]) * {"B": 2**-20, "KiB": 2**-10, "MiB": 1, "GiB": 2**10}[found[2]]


def write(name: str, rows: list[Row]) -> None:
    """Put the rows of one measurement into the README, in place of its earlier ones."""
    text = README.read_text()
    table = "\n".join(
        [f"<!-- {name} -->", "| what | figure | baseline | ratio |", "|---|---|---|---|"]
        + [f"| {' | '.join(row)} |" for row in rows]
        + [f"<!-- /{name} -->"]
    )
    block = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    if block.search(text):
        text = block.sub(lambda _: table, text)
    else:
        text = text.replace("<!-- /figures -->", f"{table}\n\n<!-- /figures -->")
    README.write_text(text)


BENCHMARKS = {
    "new": bench_new,
    "gate": bench_gate,
    "stack": bench_stack,
    "inbound": bench_inbound,
    "backup": bench_backup,
    "offsite": bench_offsite,
    "deploy": bench_deploy,
    "accounts": bench_accounts,
    "scaling": bench_scaling,
}


def main(words: list[str]) -> int:
    """Run the named measurements, or all."""
    for name in words or BENCHMARKS:
        rows = BENCHMARKS[name]()
        for row in rows:
            print("  ".join(row), flush=True)
        write(name, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
