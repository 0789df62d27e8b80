"""Topics that fail at random, and the accounts of what was sent to them."""

import contextlib
from collections import Counter

from lightspeed.actors import Shutdown
from lightspeed.channel import Behaviour, Crash, Restart
from lightspeed.cli import storm_account

HOOKS = ("on_start", "on_join", "on_leave", "on_broadcast", "on_push", "on_timer", "on_stop", "on_restart")


class Misdeeds:
    """What a behaviour is to do in which hook: so many times of each."""

    def __init__(self):
        self.planned = Counter()
        self.deeds = {}
        self.done = Counter()

    def plan(self, hook, deed, times=1):
        self.deeds[hook], self.planned[hook] = deed, times

    def play(self, hook, room):
        if self.planned[hook] > 0:
            self.planned[hook] -= 1
            self.done[hook] += 1
            return self.deeds[hook](room)
        return None


def fail(_room):
    raise ValueError("planted")


def exit_(_room):
    raise SystemExit("planted")


def shut_down(_room):
    raise Shutdown("planted")


def return_nonsense(_room):
    return "nonsense"


def push_to_nobody(room):
    room.push("nobody", "e", "p")


DEEDS = (fail, exit_, shut_down, return_nonsense, push_to_nobody)


def wild(misdeeds):
    """A class of behaviours that do these, and are the plain relay besides."""

    def hooked(hook):
        def play(self, room, *args):
            return misdeeds.play(hook, room) or getattr(Behaviour, hook)(self, room, *args)

        return play

    return type("Wild", (Behaviour,), {hook: hooked(hook) for hook in HOOKS})


class Accounts:
    """What was accepted, and whether each of it was answered once."""

    def __init__(self):
        self._books = storm_account.Accounts()

    def accept(self, event):
        if not isinstance(event, (Crash, Restart)):
            self._books.send(event)

    def tell(self, channel, *events):
        for event in events:
            channel.tell(event)
            self.accept(event)

    def settle(self, outbound):
        """Fail unless this is all that was to come."""
        for message in outbound:
            self._books.hear(message)
        assert self._books.balance(0).examples == []
        self._books = storm_account.Accounts()


def assert_nothing_is_left(channel):
    """Of a channel that was closed."""
    supervisor = channel._supervisor.actor
    assert [topic.name for topic in supervisor._topics.values() if topic.live is not None] == []
    assert (supervisor._leaving, supervisor._in_flight) == ({}, {})
    assert not channel._supervisor.is_alive()


@contextlib.contextmanager
def trial(seed):
    try:
        yield
    except BaseException as error:
        error.add_note(f"the seed was {seed}")
        raise
