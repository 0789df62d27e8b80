"""The standard streams as a process may find them, closed or full, and files that others hand in."""

import os
import sys
from codecs import BOM_UTF8
from typing import TextIO

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.text import escaped

INTERRUPTED = 130
"""The exit status: 128 and the number of SIGINT, as shells have it."""

LARGEST = 16 * 1024 * 1024
"""So many bytes a plan or a scenario may have: a file without an end is not to fill the memory."""


def open_closed_streams() -> None:
    """Put something in the place of standard streams that are closed, so that no file gets their numbers, and its text theirs.

    To read and to write fails there as on a closed file; only what goes to standard error is lost, as nobody can be told.
    """
    # Opened the wrong way round, so that the system refuses each use: "Bad file descriptor".
    for name, mode, flags in (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", errors="backslashreplace"))


def tell(*lines: str) -> None:
    """Print them to standard error, if it takes them. Each is one line, and nothing in it that a terminal would obey."""
    try:
        print(*(escaped(line, None) for line in lines), sep="\n", file=sys.stderr, flush=True)
    except OSError:
        point_elsewhere(sys.stderr)


def flush() -> bool:
    """Write out what was printed otherwise than by lines. False: it can't be written, which was told."""
    try:
        sys.stderr.flush()
    except OSError:
        point_elsewhere(sys.stderr)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        point_elsewhere(sys.stdout)  # whoever reads it has seen enough
    except OSError as error:
        point_elsewhere(sys.stdout)
        tell(f"lightspeed: cannot write standard output: {error.strerror}")
        return False
    return True


def point_elsewhere(stream: TextIO) -> None:
    """The interpreter flushes the stream once more at its end, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def read_file(option: str, path: str) -> bytes:
    """What is in a file that the option names, without a byte order mark.

    Raises:
        InvalidOption: it is too large.
        OSError: it can't be read.
    """
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InvalidOption(option, path, f"must be a file of at most {LARGEST:,} bytes")
    return data.removeprefix(BOM_UTF8)  # some editors write it
