"""`lightspeed play`: a trace goes through a channel, and what the channel gives out is written down."""

import argparse
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BufferedIOBase
from typing import NoReturn, cast

from tqdm import tqdm

from lightspeed.channel import (
    BroadcastMessage,
    Channel,
    Event,
    InvalidOption,
    InvalidTrace,
    Outbound,
    PushMessage,
    Reply,
    System,
    encode,
    event_label,
    outbound_label,
)
from lightspeed.channel.trace import read_batches
from lightspeed.cli.lines import LineFile, LineStream, OutputFailed
from lightspeed.cli.streams import tell

_EVENTS = ("join", "rejoin", "leave", "broadcast", "push", "crash", "restart")
_MESSAGES = ("reply", "push_message", "broadcast_message", "presence_diff", "system")


def play(options: argparse.Namespace) -> int:
    """Play the trace, a path or `-`, into the output, a path or None for standard output; returns the exit status.

    Raises:
        OSError: the trace can't be read, or the output can't be opened.
    """
    trace, output, tally = options.trace, options.output, Tally()
    with _open_trace(trace) as source, _open_output(output, source) as out, Channel() as channel:
        started_s = time.monotonic()
        try:
            status = _play(source, trace, out, channel, tally)
        except BrokenPipeError:
            return 0  # whoever read the output has seen enough
        except OutputFailed as error:
            tell(f"lightspeed: cannot write {output or 'standard output'}: {error}")
            return 1
        if options.summary:
            elapsed_s = time.monotonic() - started_s
            tell(*tally.rows(channel.membership_count, len(channel.topics()), elapsed_s))
        return status


def _play(source: BufferedIOBase, trace: str, out: LineFile | LineStream, channel: Channel, tally: "Tally") -> int:
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


def _write(channel: Channel, out: LineFile | LineStream, tally: "Tally") -> None:
    messages = channel.flush_outbox()
    tally.count_messages(messages)
    out.write([encode(message) for message in messages])


def _open_trace(trace: str) -> AbstractContextManager[BufferedIOBase]:
    return nullcontext(cast(BufferedIOBase, sys.stdin.buffer)) if trace == "-" else open(trace, "rb")


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


class Tally:
    """Counts as the trace goes by; it keeps nothing of it."""

    def __init__(self) -> None:
        self._events: Counter[str] = Counter()
        self._messages: Counter[str] = Counter()
        self._deliveries = 0
        self._survived = 0

    def count_events(self, events: Iterable[Event]) -> None:
        self._events.update(map(event_label, events))

    def count_messages(self, messages: Iterable[Outbound]) -> None:
        for message in messages:
            self._messages[outbound_label(message)] += 1
            if isinstance(message, BroadcastMessage):
                self._deliveries += len(message.recipients)
            elif isinstance(message, (Reply, PushMessage)):
                self._deliveries += 1
            elif message == System("restarted"):
                self._survived += 1

    def rows(self, members: int, topics: int, elapsed_s: float) -> Iterator[str]:
        """The table. A delivery is a message to one client: a reply, a push, or a broadcast once for each recipient."""
        events = self._events.total()
        rows: list[tuple[str, int]] = [("events", events)]
        rows += [(f"  {label}", self._events[label]) for label in _EVENTS]
        rows += [("outbound", self._messages.total())]
        rows += [(f"  {label}", self._messages[label]) for label in _MESSAGES]
        rows += [("deliveries", self._deliveries), ("crashes survived", self._survived)]
        rows += [("members at the end", members), ("topics at the end", topics)]
        rows += [("events per second", round(events / elapsed_s) if elapsed_s else 0)]
        width = max(len(f"{value:,}") for _, value in rows)
        for label, value in rows:
            yield f"{label:<22}{value:>{width},}"
