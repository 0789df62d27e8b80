"""The arguments of `lightspeed simulate` and `lightspeed replay`."""

import argparse

_SIMULATE_HELP = """\
SCENARIO is a function of a Simulation, as module:function or path/to/file.py:function, or a file of JSON as Scenario.to_json
writes it.

Exit status: 0 nothing failed; 1 something did, with the seed that the last line says; 2 the command line or the input was bad;
130 interrupted."""

_REPLAY_HELP = """\
A trace that a test wrote is played by that test: run this in the folder in which pytest was run.

Exit status: 0 it went the same way, to the letter; 1 another way; 2 the trace or the command line was bad; 130 interrupted."""


def add_simulations(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Both commands."""
    _add_simulate(commands)
    _add_replay(commands)


def _add_simulate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    simulate = commands.add_parser(
        "simulate",
        help="play a scenario in simulation with many seeds until it fails, and cut the failure down",
        description="Play a scenario in simulation with many seeds until it fails, and cut the failure down.",
        epilog=_SIMULATE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    simulate.add_argument("scenario", metavar="SCENARIO", nargs="?", help="what to play; see below")
    seeds = simulate.add_mutually_exclusive_group()
    seeds.add_argument("--seeds", type=_count, metavar="N", help="how many; default 100, with --sweep and --exhaust 1")
    seeds.add_argument("--seed", type=whole_number, metavar="S", help="this one alone")
    simulate.add_argument("--from", type=whole_number, default=0, dest="first", metavar="S", help="the first seed; default 0")
    simulate.add_argument("--scheduler", choices=["random", "priority", "round_robin"], default="random", help="default random")
    simulate.add_argument("--plan", metavar="FILE", help="faults for every channel: a FaultPlan as JSON")
    way = simulate.add_mutually_exclusive_group()
    way.add_argument("--sweep", action="store_true", help="with each seed once more for each message, with a crash there")
    way.add_argument("--exhaust", type=whole_number, metavar="BOUND", help="every order with so many changes of turns")
    most = "with --exhaust: no more than so many orders of a seed; default 10,000"
    simulate.add_argument("--most", type=_count, default=10_000, metavar="N", help=most)
    simulate.add_argument("--jobs", type=_count, default=1, metavar="N", help="so many processes at once; default 1")
    simulate.add_argument("--trace", metavar="FILE", help="where a failing run's trace goes; default lightspeed-SEED.trace")
    simulate.add_argument("--test", metavar="FILE", help="write a failing run there, as a test of pytest")
    simulate.add_argument("--no-shrink", action="store_false", dest="shrink", help="leave a failing run as it was found")
    simulate.set_defaults(run=_simulate)


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    replay = commands.add_parser(
        "replay",
        help="play the trace of a simulation again, and say where it goes another way",
        description="Play the trace of a simulation again, and say where it goes another way.",
        epilog=_REPLAY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("trace", metavar="TRACE", help="what simulate or a failing test wrote")
    replay.add_argument("--scenario", metavar="NAME", help="the function that was played, where it is found by another name now")
    replay.set_defaults(run=_replay)


def whole_number(text: str) -> int:
    """An argument that is a whole number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 up, of at most 15 digits, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if whole_number(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up, got {text!r}")
    return int(text)


# Each command imports what it needs when it is called.


def _simulate(options: argparse.Namespace) -> int:
    from lightspeed.cli.simulate import simulate

    return simulate(options)


def _replay(options: argparse.Namespace) -> int:
    from lightspeed.cli.replay import replay

    return replay(options.trace, options.scenario)
