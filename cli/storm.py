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
from lightspeed.cli.simulations import whole_number
from lightspeed.cli.streams import read_file, tell

if TYPE_CHECKING:
    from lightspeed.cli.storm_run import Report, Storm

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

Show = Callable[["Storm"], object]

_PAINTS_S = 0.25  # a few a second: each takes some ms from the storm
_TELLS_S = 1.0


_HELP = """\
Half of the topics are relays, half have a behaviour. Each event has an identity, and in the end each must have been handled or
answered, or be a dead letter, or have been lost by a fault on purpose.

The same seed sends the same events, thread by thread, under a plan that decides alike. But how the threads take turns is not
set by it, and so neither is which event meets which fault. To repeat a run exactly there is `lightspeed simulate`.

A plan is what `--print-plan` prints, with faults of your own. Where it names code (`when`), that is imported and run.

Exit status: 0 every event is accounted for; 1 some are not, and some of them are listed, or the output could not be written;
2 the command line or a file was bad; 130 interrupted (the report still comes)."""


def add_storm(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command, without what it runs."""
    storm = commands.add_parser(
        "storm",
        help="many topics and clients under a plan of faults, and an account of every event",
        description="Have many topics fail by plan while many clients send to them, and account for every event.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    storm.add_argument("--seconds", type=_seconds, default=10.0, help="how long it lasts; default 10")
    storm.add_argument("--topics", type=_count, default=500, metavar="N", help="how many topics; default 500")
    storm.add_argument("--clients", type=_count, default=2000, metavar="N", help="how many clients at once; default 2,000")
    storm.add_argument("--threads", type=_count, default=4, metavar="N", help="how many threads send for them; default 4")
    storm.add_argument("--seed", type=whole_number, default=1, metavar="N", help="of the events and of its own plan; default 1")
    storm.add_argument(
        "--plan", metavar="FILE", help="a fault plan as JSON; default: one of its own, with something of every kind"
    )
    storm.add_argument("--print-plan", action="store_true", help="print the plan, and do nothing else")
    storm.add_argument(
        "--rejoin",
        choices=("client", "supervisor"),
        default="client",
        help="who brings members back after a crash; default: the clients, in their own time",
    )
    storm.add_argument("--json", metavar="FILE", help="write the report there as JSON; an existing file is replaced")
    storm.add_argument("--quiet", action="store_true", help="show nothing while it lasts")
    return storm


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0 and at most a day, got {text!r}")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:8]) >= 1 and len(text) <= 7):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 9999999, got {text!r}")
    return int(text)


def storm(options: argparse.Namespace) -> int:
    """Run it as the options of `add_storm` say; returns the exit status.

    Raises:
        InvalidOption: the plan is none.
        OSError: a file can't be read or written.
    """
    from lightspeed.cli.storm_run import Settings, Storm, own_plan  # no other command needs it

    plan = own_plan(options.seed, options.seconds) if options.plan is None else _read(options.plan)
    if options.print_plan:
        return 0 if say(plan.to_json().decode()) else 1
    settings = Settings(
        seconds=options.seconds,
        topics=tuple(f"{('relay', 'room')[number % 2]}:{number}" for number in range(options.topics)),
        clients=options.clients,
        threads=options.threads,
        seed=options.seed,
        rejoin=options.rejoin,
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
    yield "faults fired", [(kind, f"{count:,}") for kind, count in report.faults.items()] or [("none", "0")]
    yield (
        "topics",
        [
            ("crashes", f"{report.crashes:,}"),
            ("given up, and restarted by order", f"{report.given_up:,}"),
            ("abandoned at work", f"{report.abandoned:,}"),
            ("dead letters", f"{report.dead_letters:,}"),
            ("heals", f"{heals.count:,}"),
            ("time to heal, p50", f"{heals.p50:.1f} ms"),
            ("time to heal, p99", f"{heals.p99:.1f} ms"),
            ("time to heal, longest", f"{heals.longest:.1f} ms"),
            ("of that the backoff, at least", f"{report.least_backoff_ms:.1f} ms"),
        ],
    )
