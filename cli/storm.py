"""`lightspeed storm`: many topics under a plan of faults, a view of it while it lasts, and a report."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import msgspec

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import Behaviour, FaultPlan
from lightspeed.cli.lines import LineStream, OutputFailed
from lightspeed.cli.storm_chart import chart
from lightspeed.cli.storm_plan import own_plan
from lightspeed.cli.storm_report import lines_of
from lightspeed.cli.storm_run import Report, Settings, Storm
from lightspeed.cli.storm_view import view

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def storm(options: argparse.Namespace) -> int:
    """Run it as the options of `storm_options` say; returns the exit status.

    Raises:
        InvalidOption: the plan is none.
        OSError: a file can't be read or written.
    """
    plan = own_plan(options.seed, options.seconds) if options.plan is None else _read(options.plan)
    try:
        if options.print_plan:
            LineStream(sys.stdout).write([plan.to_json()])
            return 0
        return _rage(options, plan)
    except BrokenPipeError:
        return 0  # whoever read the output has seen enough
    except OutputFailed as error:
        print(f"lightspeed: cannot write standard output: {error}", file=sys.stderr)
        return 1


def _rage(options: argparse.Namespace, plan: FaultPlan) -> int:
    settings = Settings(
        seconds=options.seconds,
        topics=tuple(f"{('relay', 'room')[number % 2]}:{number}" for number in range(options.topics)),
        clients=options.clients,
        threads=options.threads,
        seed=options.seed,
        rejoin=options.rejoin,
    )
    with ExitStack() as files:
        as_json, as_chart = _opened(files, options.json), _opened(files, options.chart)
        one = Storm(settings, plan, behaviours={"room:*": Behaviour})
        with view(is_quiet=options.quiet) as show, _ended_by_interrupt(one.end):
            report = one.run(show)
        if as_json is not None:
            as_json.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
        if as_chart is not None:
            as_chart.write(chart(report, one.pulse).encode())
    LineStream(sys.stdout).write([line.encode() for line in lines_of(report)])
    return _status(report)


def _status(report: Report) -> int:
    if report.account.unaccounted:
        return 1
    return INTERRUPTED if report.ended == "interrupted" else 0


def _read(path: str) -> FaultPlan:
    try:
        return FaultPlan.from_json(Path(path).read_bytes())
    except InvalidOption as error:
        value = error.value if len(repr(error.value)) <= 60 else f"{repr(error.value)[:60]}..."
        raise InvalidOption(f"--plan {path}: {error.option}", value, error.rule) from None


def _opened(files: ExitStack, path: str | None) -> BinaryIO | None:
    """At once, so that what can't be written is refused before the storm."""
    return None if path is None else files.enter_context(open(path, "wb"))


@contextmanager
def _ended_by_interrupt(end: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C ends the storm, and a second one the report too."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
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
