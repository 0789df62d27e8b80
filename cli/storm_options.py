"""The options of `lightspeed storm`."""

import argparse

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
    storm.add_argument("--seed", type=_seed, default=1, metavar="N", help="of the events and of its own plan; default 1")
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


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 up, of at most 15 digits, got {text!r}")
    return int(text)
