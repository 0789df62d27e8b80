"""A runtime whose clock stands still until a test moves it."""

import itertools

from lightspeed.actors import Pool


class Clock(Pool):
    """Real actors, and a clock that a test moves on."""

    def __init__(self):
        super().__init__()
        self.now_s, self.calls, self.numbers = 0.0, [], itertools.count()

    def monotonic_s(self):
        return self.now_s

    def call_later(self, delay_s, call):
        entry = (self.now_s + delay_s, next(self.numbers), call)
        self.calls.append(entry)
        return ClockTimer(self.calls, entry)

    def run_for(self, span_s):
        self.now_s += span_s
        for entry in sorted(entry for entry in self.calls if entry[0] <= self.now_s):
            self.calls.remove(entry)
            entry[2]()


class ClockTimer:
    def __init__(self, calls, entry):
        self.calls, self.entry = calls, entry

    def cancel(self):
        if self.entry in self.calls:
            self.calls.remove(self.entry)
