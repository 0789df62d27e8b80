"""Output in whole lines."""

import os
import sys
from collections.abc import Sequence
from io import FileIO
from typing import TextIO

from lightspeed.cli.streams import point_elsewhere, tell


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def say(*lines: str) -> bool:
    """Print them; whoever reads them may have seen enough. False: they can't be written, which was told."""
    try:
        LineStream(sys.stdout).write([line.encode(errors="backslashreplace") for line in lines])
    except BrokenPipeError:
        pass
    except OutputFailed as error:
        tell(f"lightspeed: cannot write standard output: {error}")
        return False
    return True


class OutputFailed(Exception):
    """The output could not be written, for the reason in the text."""


class LineFile:
    """A file that never ends in half a line: what could not be written whole is taken back."""

    is_terminal = False

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._good = 0  # where the last whole line ends

    def write(self, lines: Sequence[bytes]) -> None:
        data = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
            self._good = self._file.tell() if self._file.seekable() else 0
        except BaseException as error:  # an interrupt, too, must not leave half a line
            self._take_back()
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                raise OutputFailed(error.strerror) from error
            raise

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._file.fileno(), self._good)
        except OSError:
            pass  # a pipe or a device: what is written there is gone


class LineStream:
    """Standard output, flushed after every write, so that whoever reads it waits for nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()

    def write(self, lines: Sequence[bytes]) -> None:
        try:
            self._stream.buffer.write(b"".join(line + b"\n" for line in lines))
            self._stream.buffer.flush()
        except BrokenPipeError:
            point_elsewhere(self._stream)
            raise
        except OSError as error:
            point_elsewhere(self._stream)
            raise OutputFailed(error.strerror) from error
