"""`lightspeed play`: a trace goes through a channel, and what the channel gives out is written down."""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from typing import NoReturn, cast

from tqdm import tqdm

from lightspeed.channel import Channel, InvalidOption, InvalidTrace, encode
from lightspeed.channel.trace import read_batches
from lightspeed.cli.lines import LineFile, LineStream, OutputFailed
from lightspeed.cli.streams import tell
from lightspeed.cli.tally import Tally


def play(trace: str, output: str | None, *, summary: bool) -> int:
    """Play the trace, a path or `-`, into the output, a path or None for standard output; returns the exit status.

    Raises:
        OSError: the trace can't be read, or the output can't be opened.
    """
    tally = Tally()
    with _open_trace(trace) as source, _open_output(output, source) as out, Channel() as channel:
        started_s = time.monotonic()
        try:
            status = _play(source, trace, out, channel, tally)
        except BrokenPipeError:
            return 0  # whoever read the output has seen enough
        except OutputFailed as error:
            tell(f"lightspeed: cannot write {output or 'standard output'}: {error}")
            return 1
        if summary:
            elapsed_s = time.monotonic() - started_s
            tell(*tally.rows(channel.membership_count, len(channel.topics()), elapsed_s))
        return status


def _play(source: BufferedIOBase, trace: str, out: LineFile | LineStream, channel: Channel, tally: Tally) -> int:
    name = "standard input" if trace == "-" else trace
    with _progress(source, out) as bar:
        try:
            for events in read_batches(source, name=name, gzipped=trace.endswith(".gz")):
                tally.count_events(events)
                for event in events:
                    channel.tell(event)
                _write(channel, out, tally)
                if not bar.disable:
                    bar.update(source.tell() - bar.n)
        except InvalidTrace as error:
            bar.close()
            tell(f"lightspeed: {error}")
            return 2
        except KeyboardInterrupt:
            _write(channel, out, tally)  # what was told before the interrupt
            raise
    return 0


def _write(channel: Channel, out: LineFile | LineStream, tally: Tally) -> None:
    messages = channel.flush_outbox()
    tally.count_messages(messages)
    out.write([encode(message) for message in messages])


@contextmanager
def _open_trace(trace: str) -> Iterator[BufferedIOBase]:
    if trace == "-":
        yield cast(BufferedIOBase, sys.stdin.buffer)
    else:
        with open(trace, "rb") as file:
            yield file


@contextmanager
def _open_output(output: str | None, source: BufferedIOBase) -> Iterator[LineFile | LineStream]:
    if output is None:
        yield LineStream(sys.stdout)
        return
    if os.path.exists(output) and os.path.samestat(os.stat(output), os.fstat(source.fileno())):
        raise InvalidOption("-o", output, "must not be the trace itself")
    with open(output, "wb", buffering=0) as file:
        yield LineFile(file)


def _progress(source: BufferedIOBase, out: LineFile | LineStream) -> "tqdm[NoReturn]":
    """A bar of bytes read, on a terminal; none where the output itself goes to a terminal, or the size is not known."""
    status = os.fstat(source.fileno())
    hidden = out.is_terminal or not stat.S_ISREG(status.st_mode) or None  # None: only if standard error is no terminal
    return tqdm(total=status.st_size, unit="B", unit_scale=True, disable=hidden, file=sys.stderr, leave=False)
