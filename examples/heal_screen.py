"""The terminal of heal.py: each key counts at once, and the tree is painted ten times a second. For rich and a POSIX system."""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from lightspeed.channel import Channel

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
COLOURS = {"running": "green", "restarting": "yellow", "down": "red", "crashed": "red", "given_up": "bold red"}


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


def painted(channel: Channel, below: str) -> Text:
    text = Text(f"{channel.tree()}\n\n{below}")
    for phase, colour in COLOURS.items():
        text.highlight_words([f"[{phase}]"], colour)
    return text


def watch(channel: Channel, press: Callable[[Channel, str], None], below: str) -> int:
    """Do what the keys say until q, Ctrl-C or the end of input; the exit status."""
    try:
        with put_off() as asked:
            while is_put_off(channel, press, below, asked):
                asked.clear()
                suspend()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def is_put_off(channel: Channel, press: Callable[[Channel, str], None], below: str, asked: list[int]) -> bool:
    """Paint and read keys until Ctrl-Z was pressed; False: until q or the end of input. The terminal is then as it was."""
    live = Live(screen=True, auto_refresh=False)
    try:
        with keys_at_once():
            live.start()
            while not asked:
                live.update(painted(channel, below), refresh=True)
                if select.select([sys.stdin], [], [], 0.1)[0]:
                    # Python's own buffer would hide keys from select
                    key = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
                    if key in ("", "q"):
                        return False
                    press(channel, key)
            return True
    finally:
        live.stop()
