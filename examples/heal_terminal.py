"""What heal.py asks of a POSIX terminal: each key at once, and Ctrl-Z not before the terminal is as it was."""

import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keys_at_once() -> Iterator[None]:
    """Keys come without a return and are not shown; however this ends, the terminal is then as it was."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def put_off() -> Iterator[list[int]]:
    """Ctrl-Z is not obeyed at once, but stands in the list, so that the terminal can be given back first."""
    asked: list[int] = []
    before = signal.signal(signal.SIGTSTP, lambda number, _frame: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTSTP, before)


def suspend() -> None:
    """Stop as Ctrl-Z has it; this returns when the shell has us go on."""
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, ours)
