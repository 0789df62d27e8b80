"""`lightspeed storm`: many topics under a plan of faults, a view of it while it lasts, and a report."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from types import FrameType

import msgspec

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import Behaviour, FaultPlan
from lightspeed.cli.lines import LineFile, LineStream, OutputFailed
from lightspeed.cli.storm_chart import chart
from lightspeed.cli.storm_plan import own_plan
from lightspeed.cli.storm_report import lines_of
from lightspeed.cli.storm_run import Report, Settings, Storm
from lightspeed.cli.storm_view import view
from lightspeed.cli.streams import read_file, tell

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
        tell(f"lightspeed: cannot write standard output: {error}")
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
        are_written = [
            _is_written(as_json, lambda: msgspec.json.format(msgspec.json.encode(report))),
            _is_written(as_chart, lambda: chart(report, one.pulse).encode().removesuffix(b"\n")),
        ]
    LineStream(sys.stdout).write([line.encode() for line in lines_of(report)])
    return _status(report) if all(are_written) else 1


def _is_written(file: FileIO | None, content: Callable[[], bytes]) -> bool:
    """False: it can't be, which was told. The report is to be told all the same."""
    if file is None:
        return True
    try:
        LineFile(file).write([content()])
    except OutputFailed as error:
        tell(f"lightspeed: cannot write {os.fsdecode(file.name)}: {error}")
        return False
    return True


def _status(report: Report) -> int:
    if report.account.unaccounted:
        return 1
    return INTERRUPTED if report.ended == "interrupted" else 0


def _read(path: str) -> FaultPlan:
    try:
        return FaultPlan.from_json(read_file("--plan", path))
    except InvalidOption as error:
        raise InvalidOption(f"--plan {path}: {error.option}", error.value, error.rule) from None


def _opened(files: ExitStack, path: str | None) -> FileIO | None:
    """At once, so that what can't be written is refused before the storm."""
    return None if path is None else files.enter_context(open(path, "wb", buffering=0))


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
