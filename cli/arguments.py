"""The commands and their arguments. Each names the function that carries it out, which is loaded when it is called."""

import argparse
from functools import partial
from typing import Any

_PLAY_EPILOG = """\
A trace is one event a line, such as
  {"type":"join","client_id":"c1","topic":"room:1","user_id":"alice","now_ms":1}
  {"type":"broadcast","client_id":"c1","topic":"room:1","payload":"hello"}
Types: join, rejoin, leave, broadcast, push, crash, restart, disconnect, publish, send. Blank lines
are skipped.
A line has at most 16 MiB. A byte order mark at the start is skipped.

Exit status: 0 the trace was played; 1 the output could not be written; 2 the trace or the command line was bad (what
stood before a bad line has been played and written); 130 interrupted."""

_CAPSULE_REPLAY_EPILOG = """\
The capsule must be signed with the key in the environment variable LIGHTSPEED_CAPSULE_KEY: a replay runs the code that is in it.

Exit status: 0 the same exception came; 1 another one, or none; 2 the file or the command line was bad, or the capsule was
refused; 130 interrupted."""

_SIMULATE_EPILOG = """\
SCENARIO is a function of a Simulation, as module:function or path/to/file.py:function, or a file of JSON as Scenario.to_json
writes it.

Exit status: 0 nothing failed; 1 something did, with the seed that the last line says; 2 the command line or the input was bad;
130 interrupted."""

_REPLAY_EPILOG = """\
A trace that a test wrote is played by that test: run this in the folder in which pytest was run.

Exit status: 0 it went the same way, to the letter; 1 another way; 2 the trace or the command line was bad; 130 interrupted."""

_STORM_EPILOG = """\
Half of the topics are relays, half have a behaviour. Every third has a mailbox with room for few messages, with each way to
overflow in turn, and is sent bursts. Each event has an identity, and in the end each must have been handled or answered, or be a
dead letter, or have been lost by a fault on purpose.

The same seed sends the same events, thread by thread, under a plan that decides alike. But how the threads take turns is not
set by it, and so neither is which event meets which fault. To repeat a run exactly there is `lightspeed simulate`.

A plan is what `--print-plan` prints, with faults of your own. Where it names code (`when`), that is imported and run.

Exit status: 0 every event is accounted for; 1 some are not, and some of them are listed, or the output could not be written;
2 the command line or a file was bad; 130 interrupted (the report still comes)."""


_CHECK_EPILOG = """\
Exit status: 0 it is fit; 1 something is to be said against it, after a hyphen, or the output could not be written; 2 it could
not be asked, or the command line was bad; 130 interrupted."""

_WATCH_EPILOG = """\
It only listens: no node takes it for one. A gap is what did not come here.

Exit status: 0 it watched for so long; 1 the output could not be written; 2 the Redis could not be asked at the start, or the
command line was bad; 130 interrupted."""


def whole_number(text: str, least: int = 0, most: int = 10**15 - 1) -> int:
    """An argument that is a whole number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, got {text!r}")
    return int(text)


_count = partial(whole_number, least=1)
size = partial(whole_number, least=1, most=9_999_999)
"""An argument that says of how many something is made."""


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0 and at most a day, got {text!r}")
    return value


def add_commands(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    commands: Any = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_play(commands)
    _add_capsule(commands)
    _add_simulate(commands)
    _add_replay(commands)
    _add_storm(commands)
    _add_cluster(commands)


def _add(commands: Any, name: str, run: str, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """`run`: `module:function`, of the parsed options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def _add_play(commands: Any) -> None:
    summary = "drive a channel with a trace of events and write what it gives out"
    description = "Drive a channel with a trace of events, and write its outbound messages as JSON lines."
    play = _add(commands, "play", "lightspeed.cli.play:play", summary, description, _PLAY_EPILOG)
    play.add_argument("trace", metavar="TRACE", help="a file of JSON lines; .gz is unpacked; - is standard input")
    play.add_argument("-o", "--output", metavar="FILE", help="write there, not to standard output; an existing file is replaced")
    play.add_argument("--summary", action="store_true", help="print a table of what happened to standard error")


def _add_capsule(commands: Any) -> None:
    capsule = commands.add_parser(
        "capsule",
        help="look into the file that a failed topic left, or repeat its failure",
        description="Look into a crash capsule, the file that a failed topic left, or repeat its failure.",
    )
    kinds = capsule.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = kinds.add_parser("show", help="say what is in it, without running any of it")
    show.set_defaults(run="lightspeed.cli.capsule:show")
    show.add_argument("file", metavar="FILE", help="a capsule")
    show.add_argument("--json", action="store_true", help="print its header as it stands, a line of JSON")
    summary, description = "repeat its failure in a process of its own", "Repeat a capsule's failure in a process of its own."
    replay = _add(kinds, "replay", "lightspeed.cli.capsule:replay", summary, description, _CAPSULE_REPLAY_EPILOG)
    replay.add_argument("file", metavar="FILE", help="a capsule")
    replay.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="kill the process after so long; default 30"
    )
    replay.add_argument(
        "--run-untrusted-code",
        action="store_true",
        help="replay it though nobody vouches for it: whoever made the file then runs any code with your rights",
    )


def _add_simulate(commands: Any) -> None:
    summary = "play a scenario in simulation with many seeds until it fails, and cut the failure down"
    simulate = _add(commands, "simulate", "lightspeed.cli.simulate:simulate", summary, _sentence(summary), _SIMULATE_EPILOG)
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


def _add_replay(commands: Any) -> None:
    summary = "play the trace of a simulation again, and say where it goes another way"
    replay = _add(commands, "replay", "lightspeed.cli.replay:replay", summary, _sentence(summary), _REPLAY_EPILOG)
    replay.add_argument("trace", metavar="TRACE", help="what simulate or a failing test wrote")
    replay.add_argument("--scenario", metavar="NAME", help="the function that was played, where it is found by another name now")


def _add_storm(commands: Any) -> None:
    summary = "many topics and clients under a plan of faults, and an account of every event"
    description = "Have many topics fail by plan while many clients send to them, and account for every event."
    storm = _add(commands, "storm", "lightspeed.cli.storm:storm", summary, description, _STORM_EPILOG)
    storm.add_argument("--seconds", type=_seconds, default=10.0, help="how long it lasts; default 10")
    storm.add_argument("--topics", type=size, default=500, metavar="N", help="how many topics; default 500")
    storm.add_argument("--clients", type=size, default=2000, metavar="N", help="how many clients at once; default 2,000")
    storm.add_argument(
        "--listeners", type=whole_number, default=16, metavar="N", help="clients with inboxes besides; default 16; 0: none"
    )
    storm.add_argument("--threads", type=size, default=4, metavar="N", help="how many threads send for them; default 4")
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


def _add_cluster(commands: Any) -> None:
    summary = "check the Redis of a cluster, or watch its nodes"
    cluster = commands.add_parser("cluster", help=summary, description=_sentence(summary))
    kinds = cluster.add_subparsers(title="commands", metavar="COMMAND", required=True)
    summary = "say whether a Redis is fit to carry a cluster"
    check = _add(kinds, "check", "lightspeed.cli.cluster:check", summary, _sentence(summary), _CHECK_EPILOG)
    summary = "print a line for each node each second: its beats, lease, gaps and rates"
    watch = _add(kinds, "watch", "lightspeed.cli.cluster:watch", summary, _sentence(summary), _WATCH_EPILOG)
    for command in (check, watch):
        command.add_argument("url", metavar="URL", help="of the Redis, as RedisEngine has it")
    watch.add_argument("--prefix", default="lightspeed:", metavar="TEXT", help="as RedisEngine has it; default lightspeed:")
    watch.add_argument("--seconds", type=_seconds, metavar="N", help="end after so long; default: watch until interrupted")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
