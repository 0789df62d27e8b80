"""`lightspeed storm`: many topics under a plan of faults, a view of it while it lasts, and a report."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import msgspec

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.text import escaped
from lightspeed.channel import Behaviour, FaultPlan
from lightspeed.cli.lines import LineFile, OutputFailed, say
from lightspeed.cli.streams import INTERRUPTED, read_file, tell

if TYPE_CHECKING:
    from lightspeed.cli.storm_run import Report, Storm

Show = Callable[["Storm"], object]

_PAINTS_S = 0.25  # a few a second: each takes some ms from the storm
_TELLS_S = 1.0


def storm(options: argparse.Namespace) -> int:
    """Run it as the options of the command line say; returns the exit status.

    Raises:
        InvalidOption: the plan is none.
        OSError: a file can't be read or written.
    """
    from lightspeed.cli.storm_run import Settings, Storm, own_plan, small_mailboxes  # no other command needs it

    plan = own_plan(options.seed, options.seconds) if options.plan is None else _read(options.plan)
    if options.print_plan:
        return 0 if say(plan.to_json().decode()) else 1
    topics = tuple(f"{('relay', 'room')[number % 2]}:{number}" for number in range(options.topics))
    settings = Settings(
        seconds=options.seconds,
        topics=topics,
        clients=options.clients,
        threads=options.threads,
        seed=options.seed,
        listeners=options.listeners,
        rejoin=options.rejoin,
        mailboxes=small_mailboxes(topics),
    )
    # Opened at once, so that what can't be written is refused before the storm.
    with nullcontext() if options.json is None else open(options.json, "wb", buffering=0) as file:
        one = Storm(settings, plan, behaviours={"room:*": Behaviour})
        with view(is_quiet=options.quiet) as show, _ended_by_interrupt(one.end):
            report = one.run(show)
        is_written = True
        if file is not None:
            try:
                LineFile(file).write([msgspec.json.format(msgspec.json.encode(report))])
            except OutputFailed as error:  # the report is to be told all the same
                tell(f"lightspeed: cannot write {os.fsdecode(file.name)}: {error}")
                is_written = False
    is_told = say(*lines_of(report))
    if report.account.unaccounted or not (is_written and is_told):
        return 1
    return INTERRUPTED if report.ended == "interrupted" else 0


def _read(path: str) -> FaultPlan:
    try:
        return FaultPlan.from_json(read_file("--plan", path))
    except InvalidOption as error:
        raise InvalidOption(f"--plan {path}: {error.option}", error.value, error.rule) from None


@contextmanager
def _ended_by_interrupt(end: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C ends the storm, and a second one the report too."""

    def on_signal(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end()

    is_ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    if not is_ours:
        yield
        return
    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def view(*, is_quiet: bool) -> Iterator[Show]:
    """What is to be called with the storm again and again."""
    if is_quiet:
        yield lambda _storm: None
    elif sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.live import Live
        except ImportError:
            yield _now_and_then(_TELLS_S, _tell)
            return
        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            yield _now_and_then(_PAINTS_S, lambda storm: live.update(painted(storm), refresh=True))
    else:
        yield _now_and_then(_TELLS_S, _tell)


def _now_and_then(period_s: float, show: Show) -> Show:
    next_s = 0.0

    def shown(storm: "Storm") -> None:
        nonlocal next_s
        if storm.elapsed_s >= next_s:
            next_s = storm.elapsed_s + period_s
            show(storm)

    return shown


def painted(storm: "Storm") -> Any:
    """For rich."""
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None)
    table.add_column("what", style="cyan")
    table.add_column("how many", justify="right")
    for name, value in rows_of(storm):
        table.add_row(name, value)
    for kind, count in sorted(storm.fired.items()):
        table.add_row(f"fault {kind}", f"{count:,}", style="yellow")
    return Group(f"storm, {storm.elapsed_s:.0f} of {storm.settings.seconds:g} s; Ctrl-C ends it", "", table)


def rows_of(storm: "Storm") -> list[tuple[str, str]]:
    """How it goes, without the faults by kind."""
    pulse, heals = storm.pulse, storm.pulse.heals()
    is_up = len(storm.settings.topics) - pulse.restarting - len(pulse.down)
    return [
        ("events a second", f"{storm.accounts.sent / storm.elapsed_s:,.0f}"),
        ("faults", f"{storm.fired.total():,}"),
        ("topics up", f"{0 if pulse.is_channel_down else is_up:,}"),
        ("topics restarting", f"{pulse.restarting:,}"),
        ("topics down", f"{len(storm.settings.topics) if pulse.is_channel_down else len(pulse.down):,}"),
        ("heals", f"{heals.count:,}"),
        ("time to heal p50", f"{heals.p50:.0f} ms"),
        ("time to heal p99", f"{heals.p99:.0f} ms"),
    ]


def _tell(storm: "Storm") -> None:
    told = ", ".join(f"{name} {value}" for name, value in rows_of(storm))
    tell(f"storm, {storm.elapsed_s:.0f} s: {told}")


def lines_of(report: "Report") -> Iterator[str]:
    """For a terminal."""
    yield f"A storm of {report.seconds:.1f} s, ended {report.ended}"
    yield (
        f"seed {report.seed}, {report.topics:,} topics, {report.clients:,} clients, {report.threads} threads, "
        f"rejoin by {report.rejoin}"
    )
    for title, rows in _tables(report):
        yield ""
        yield title
        for name, value in rows:
            yield f"  {name:<40}{value:>12}"
    if report.account.examples:
        yield ""
        yield "some of the events unaccounted for"
    for example in report.account.examples:
        yield f"  {escaped(example, None)}"


def _tables(report: "Report") -> Iterator[tuple[str, list[tuple[str, str]]]]:
    account, heals = report.account, report.time_to_heal_ms
    yield (
        "events",
        [
            ("sent", f"{account.sent:,}"),
            ("sent a second", f"{report.events_per_s:,.0f}"),
            ("more that arrived, doubled on purpose", f"{account.doubled:,}"),
            *((fate, f"{count:,}") for fate, count in account.became.items()),
            ("unaccounted for", f"{account.unaccounted:,}"),
        ],
    )
    yield (
        "listeners",
        [("messages in their inboxes", f"{report.heard:,}"), ("without room there, and told so", f"{report.lagged:,}")],
    )
    yield "faults fired", [(kind, f"{count:,}") for kind, count in report.faults.items()] or [("none", "0")]
    yield (
        "topics",
        [
            ("crashes", f"{report.crashes:,}"),
            ("given up, and restarted by order", f"{report.given_up:,}"),
            ("abandoned at work", f"{report.abandoned:,}"),
            ("dead letters", f"{report.dead_letters:,}"),
            ("shed, since a mailbox was full", f"{report.shed:,}"),
            ("heals", f"{heals.count:,}"),
            ("time to heal, p50", f"{heals.p50:.1f} ms"),
            ("time to heal, p99", f"{heals.p99:.1f} ms"),
            ("time to heal, longest", f"{heals.longest:.1f} ms"),
            ("of that the backoff, at least", f"{report.least_backoff_ms:.1f} ms"),
        ],
    )
