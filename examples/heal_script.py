"""The script of heal.py: keys, and a dot for each second. It takes no time and prints the same every time."""

import sched
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

from lightspeed.channel import Channel, Pool


class ScriptTime(Pool):
    """Real actors, and a clock that stands still until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._calls = sched.scheduler(self.monotonic_s)

    def monotonic_s(self) -> float:
        return self._now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> SimpleNamespace:
        event = self._calls.enter(delay_s, 0, call)

        def cancel() -> None:
            with suppress(ValueError):  # it is over
                self._calls.cancel(event)

        return SimpleNamespace(cancel=cancel)

    def pass_second(self) -> None:
        self._now_s += 1
        self._calls.run(blocking=False)


def play(keys: str, open_rooms: Callable[[Pool], Channel], press: Callable[[Channel, str], None]) -> None:
    """Print the tree, and again after each key and each second, until the keys are over or one is q."""
    time = ScriptTime()
    with open_rooms(time) as channel:
        print(channel.tree())
        for key in keys.split("q")[0]:
            if key == ".":
                time.pass_second()
            press(channel, key)
            print(f"\n{'a second later' if key == '.' else f'key {key}'}\n{channel.tree()}")
