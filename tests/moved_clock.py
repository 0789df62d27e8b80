"""Real actors, and a clock that a test moves on."""

import itertools
import threading

from lightspeed.actors import Pool, Threads


class _Moved:
    def __init__(self):
        super().__init__()
        self.now_s, self.numbers = 0.0, itertools.count()
        self.calls, self.changed = {}, threading.Condition()

    def monotonic_s(self):
        return self.now_s

    def call_later(self, delay_s, call):
        key = (self.now_s + delay_s, next(self.numbers))
        with self.changed:
            self.calls[key] = call
            self.changed.notify_all()
        return _Timer(self.calls, key)

    def wait_for_calls(self, count):
        """Until so many wait for their time."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= count, 10)

    def run_to_next(self, span_s, until):
        """Run for so long, once something is due by then: the clock does not run ahead of who puts it off. Unless it is over."""
        while not until():
            with self.changed:
                if self.changed.wait_for(lambda: any(key[0] <= self.now_s + span_s for key in self.calls), 0.01):
                    break
        self.run_for(span_s)

    def run_for(self, span_s):
        self.now_s += span_s
        for key in sorted(key for key in list(self.calls) if key[0] <= self.now_s):
            call = self.calls.pop(key, None)
            if call is not None:
                call()


class _Timer:
    def __init__(self, calls, key):
        self.calls, self.key = calls, key

    def cancel(self):
        self.calls.pop(self.key, None)


class MovedPool(_Moved, Pool):
    pass


class MovedThreads(_Moved, Threads):
    pass


MOVED = {Pool: MovedPool, Threads: MovedThreads}
"""Each kind of runtime with such a clock."""
