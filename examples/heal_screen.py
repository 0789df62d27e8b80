"""The live view of heal.py: each key counts at once, and the tree is painted ten times a second. For rich and a POSIX system."""

import os
import select
import sys
from collections.abc import Callable

from heal_terminal import keys_at_once, put_off, suspend
from rich.live import Live
from rich.text import Text

from lightspeed.channel import Channel

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
COLOURS = {"running": "green", "restarting": "yellow", "down": "red", "crashed": "red", "given_up": "bold red"}


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
