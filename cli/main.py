"""`lightspeed`: the command line. One file a command."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from lightspeed.channel import LightspeedError

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

_TRACE_HELP = """\
A trace is one event a line, such as
  {"type":"join","client_id":"c1","topic":"room:1","user_id":"alice","now_ms":1}
  {"type":"broadcast","client_id":"c1","topic":"room:1","payload":"hello"}
Types: join, rejoin, leave, broadcast, push, crash, restart. Blank lines are skipped.

Exit status: 0 the trace was played; 1 the output could not be written; 2 the trace or the command line was bad (what
stood before a bad line has been played and written); 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (None: the process's own) name, and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        from lightspeed.cli.play import play  # each command imports what it needs when it is called

        return play(options.trace, options.output, summary=options.summary)
    except KeyboardInterrupt:
        return INTERRUPTED
    except LightspeedError as error:
        print(f"lightspeed: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"lightspeed: {error.filename or 'input'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lightspeed", description="Channels whose topics are supervised actors.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('lightspeed-channels')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
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
    return parser
