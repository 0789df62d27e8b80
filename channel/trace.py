"""Traces: events as JSON lines, in a file, a gzipped file or a stream."""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from lightspeed.actors.errors import InvalidEvent, InvalidTrace
from lightspeed.actors.topics.rules.events import Event
from lightspeed.channel.codec import decode_event

# About 150 events: small enough to keep memory flat, large enough for the read not to matter.
_CHUNK_BYTES = 16_384

LONGEST_LINE = 16 * 1024 * 1024
"""A line may have so many bytes: a stream without an end, or a small .gz that unpacks to a huge one, fills no memory."""


def read_trace(source: str | Path) -> Iterator[Event]:
    """The events of a trace file, one at a time; a name that ends in `.gz` is unpacked.

    Raises:
        OSError: the file can't be opened or read.
        InvalidTrace: at a line that is no valid event, or where the file is damaged.
    """
    path = Path(source)
    with open(path, "rb") as file:
        for batch in read_batches(file, name=str(path), gzipped=path.suffix == ".gz"):
            yield from batch


def read_batches(file: BufferedIOBase, *, name: str, gzipped: bool = False) -> Iterator[list[Event]]:
    """The events of an open stream, checked, in batches of what could be read without waiting; blank lines and a byte order mark
    at the start are skipped.

    Raises:
        InvalidTrace: it names the stream (`name`), the line (from 1) and the reason. The events before it have been
            given. A line may have at most 16 MiB.
    """
    stream: Any = gzip.GzipFile(fileobj=file) if gzipped else file
    number = 0
    try:
        for lines in _read_lines(stream):
            batch: list[Event] = []
            try:
                for line in lines:
                    number += 1
                    if len(line) > LONGEST_LINE:
                        raise InvalidEvent("line", len(line), f"must have at most {LONGEST_LINE:,} bytes (16 MiB)")
                    text = line.removeprefix(BOM_UTF8) if number == 1 else line  # some editors and shells write it
                    if text.strip():
                        batch.append(decode_event(text))
            finally:  # a bad line: first what stands before it
                if batch:
                    yield batch
    except InvalidEvent as error:
        raise InvalidTrace(name, number, str(error)) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidTrace(name, number + 1, f"damaged gzip: {error}") from error


def _read_lines(stream: Any) -> Iterator[list[bytes]]:
    """Whole lines, in the chunks in which they arrive. Of one that is too long, what makes it so."""
    rest = bytearray()
    while chunk := stream.read1(_CHUNK_BYTES):
        rest += chunk
        if b"\n" in chunk:
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            yield lines
        if len(rest) > LONGEST_LINE:
            break
    if rest:
        yield [bytes(rest)]
