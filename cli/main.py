"""`lightspeed`: the command line. One file a command."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from lightspeed.channel import LightspeedError
from lightspeed.cli.lines import say
from lightspeed.cli.simulations import add_simulations
from lightspeed.cli.storm import add_storm, storm
from lightspeed.cli.streams import flush, open_closed_streams, tell

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

_TRACE_HELP = """\
A trace is one event a line, such as
  {"type":"join","client_id":"c1","topic":"room:1","user_id":"alice","now_ms":1}
  {"type":"broadcast","client_id":"c1","topic":"room:1","payload":"hello"}
Types: join, rejoin, leave, broadcast, push, crash, restart. Blank lines are skipped.
A line has at most 16 MiB. A byte order mark at the start is skipped.

Exit status: 0 the trace was played; 1 the output could not be written; 2 the trace or the command line was bad (what
stood before a bad line has been played and written); 130 interrupted."""


_REPLAY_HELP = """\
The capsule must be signed with the key in the environment variable LIGHTSPEED_CAPSULE_KEY: a replay runs the code that is in it.

Exit status: 0 the same exception came; 1 another one, or none; 2 the file or the command line was bad, or the capsule was
refused; 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (None: the process's own) name, and return its exit status."""
    open_closed_streams()
    status = _run(_parser().parse_args(arguments))
    return status if flush() else status or 1


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except LightspeedError as error:
        tell(f"lightspeed: {error}")
        return 2
    except OSError as error:
        tell(f"lightspeed: {os.fsdecode(error.filename or 'input')}: {error.strerror or error}")
        return 2


class _Parser(argparse.ArgumentParser):
    """As argparse's, which takes no notice of a help that could not be written, and prints arguments as they are."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not sys.stdout:
            tell(*message.removesuffix("\n").split("\n"))
        elif not say(message.removesuffix("\n")):
            raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(prog="lightspeed", description="Channels whose topics are supervised actors.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('lightspeed-channels')}")
    commands: Any = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    play = commands.add_parser(
        "play",
        help="drive a channel with a trace of events and write what it gives out",
        description="Drive a channel with a trace of events, and write its outbound messages as JSON lines.",
        epilog=_TRACE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    play.add_argument("trace", metavar="TRACE", help="a file of JSON lines; .gz is unpacked; - is standard input")
    play.add_argument("-o", "--output", metavar="FILE", help="write there, not to standard output; an existing file is replaced")
    play.add_argument("--summary", action="store_true", help="print a table of what happened to standard error")
    play.set_defaults(run=_play)
    _add_capsule(commands)
    add_simulations(commands)
    add_storm(commands).set_defaults(run=storm)
    return parser


def _add_capsule(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    capsule = commands.add_parser(
        "capsule",
        help="look into the file that a failed topic left, or repeat its failure",
        description="Look into a crash capsule, the file that a failed topic left, or repeat its failure.",
    )
    kinds = capsule.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = kinds.add_parser("show", help="say what is in it, without running any of it")
    show.add_argument("file", metavar="FILE", help="a capsule")
    show.add_argument("--json", action="store_true", help="print its header as it stands, a line of JSON")
    show.set_defaults(run=_show)
    replay = kinds.add_parser(
        "replay",
        help="repeat its failure in a process of its own",
        description="Repeat a capsule's failure in a process of its own.",
        epilog=_REPLAY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("file", metavar="FILE", help="a capsule")
    replay.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="kill the process after so long; default 30"
    )
    replay.add_argument(
        "--run-untrusted-code",
        action="store_true",
        help="replay it though nobody vouches for it: whoever made the file then runs any code with your rights",
    )
    replay.set_defaults(run=_replay)


# Each command imports what it needs when it is called.


def _play(options: argparse.Namespace) -> int:
    from lightspeed.cli.play import play

    return play(options.trace, options.output, summary=options.summary)


def _show(options: argparse.Namespace) -> int:
    from lightspeed.cli.capsule import show

    return show(options.file, as_json=options.json)


def _replay(options: argparse.Namespace) -> int:
    from lightspeed.cli.capsule import replay

    return replay(options.file, options.timeout, run_untrusted_code=options.run_untrusted_code)
