"""A storm while it lasts: painted on a terminal by rich, or else told in lines. Both go to standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightspeed.cli.storm_run import Storm
from lightspeed.cli.streams import tell

Show = Callable[[Storm], object]

_PAINTS_S = 0.25  # a few a second: each takes some ms from the storm
_TELLS_S = 1.0


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

    def shown(storm: Storm) -> None:
        nonlocal next_s
        if storm.elapsed_s >= next_s:
            next_s = storm.elapsed_s + period_s
            show(storm)

    return shown


def painted(storm: Storm) -> Any:
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


def rows_of(storm: Storm) -> list[tuple[str, str]]:
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


def _tell(storm: Storm) -> None:
    told = ", ".join(f"{name} {value}" for name, value in rows_of(storm))
    tell(f"storm, {storm.elapsed_s:.0f} s: {told}")
