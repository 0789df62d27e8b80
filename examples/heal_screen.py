"""The terminal of heal.py: each key counts at once, and the tree is painted ten times a second. For rich and a POSIX system."""

import os
import select
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


def painted(channel: Channel, below: str) -> Text:
    text = Text(f"{channel.tree()}\n\n{below}")
    for phase, colour in COLOURS.items():
        text.highlight_words([f"[{phase}]"], colour)
    return text


def watch(channel: Channel, press: Callable[[Channel, str], None], below: str) -> int:
    """Do what the keys say until q, Ctrl-C or the end of input; the exit status."""
    live = Live(screen=True, auto_refresh=False)
    try:
        with keys_at_once():
            live.start()
            while True:
                live.update(painted(channel, below), refresh=True)
                if select.select([sys.stdin], [], [], 0.1)[0]:
                    key = os.read(sys.stdin.fileno(), 1).decode(
                        errors="replace"
                    )  # Python's own buffer would hide keys from select
                    if key in ("", "q"):
                        return 0
                    press(channel, key)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        live.stop()
