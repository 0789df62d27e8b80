"""The report of a storm as text."""

from collections.abc import Iterator

from lightspeed.actors.text import escaped
from lightspeed.cli.storm_run import Report


def lines_of(report: Report) -> Iterator[str]:
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


def _tables(report: Report) -> Iterator[tuple[str, list[tuple[str, str]]]]:
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
