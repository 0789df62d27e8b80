"""`lightspeed`: the command line. One file a command."""

import argparse
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from lightspeed.channel import LightspeedError
from lightspeed.cli.arguments import add_commands
from lightspeed.cli.lines import say
from lightspeed.cli.streams import INTERRUPTED, flush, open_closed_streams, tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (None: the process's own) name, and return its exit status."""
    open_closed_streams()
    status = _run(_parser().parse_args(arguments))
    return status if flush() else status or 1


def _run(options: argparse.Namespace) -> int:
    try:
        return int(pkgutil.resolve_name(options.run)(options))
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
    add_commands(parser)
    return parser
