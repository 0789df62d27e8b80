"""Hooks that note what they are told."""

import threading

from lightspeed.metrics import MetricsHooks
from lightspeed.metrics.hooks import HOOKS


class Notes(MetricsHooks):
    """All hooks: each notes its name and its arguments, but for seconds. Who waits for one is told."""

    def __init__(self):
        self.heard = []
        self._news = threading.Condition()

    def note(self, name, *args):
        with self._news:
            self.heard.append((name, *args))
            self._news.notify_all()

    def of(self, *names):
        return [entry for entry in self.heard if entry[0] in names]

    def wait_for(self, name, count=1):
        with self._news:
            assert self._news.wait_for(lambda: len(self.of(name)) >= count, timeout=10), self.heard
        return self.of(name)


def _noting(name):
    if name == "handled":
        return lambda notes, event, seconds: notes.note(name, event)
    return lambda notes, *args: notes.note(name, *args)


for _name in HOOKS:
    setattr(Notes, _name, _noting(_name))
