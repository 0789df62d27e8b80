"""The script of heal.py: keys, and a dot for each second. It takes no time and prints the same every time."""

import sched
from collections.abc import Callable
from contextlib import suppress

from lightspeed.channel import Channel, Pool


class PutOff:
    def __init__(self, calls: sched.scheduler, event: sched.Event) -> None:
        self._calls, self._event = calls, event

    def cancel(self) -> None:
        with suppress(ValueError):  # it is over
            self._calls.cancel(self._event)


class ScriptTime(Pool):
    """Real actors, and a clock that stands still until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._calls = sched.scheduler(self.monotonic_s)

    def monotonic_s(self) -> float:
        return self._now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> PutOff:
        return PutOff(self._calls, self._calls.enter(delay_s, 0, call))

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
