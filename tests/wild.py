"""Topics that fail at random, and the accounts of what was sent to them."""

import contextlib
from collections import Counter

from lightspeed.actors import Shutdown
from lightspeed.channel import Behaviour, BroadcastMessage, Crash, PushMessage, Reply, Restart

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
    """What was accepted, by client, and whether each of it was answered once. Broadcasts have their client as the payload."""

    def __init__(self):
        self.accepted = Counter()

    def accept(self, event):
        if not isinstance(event, (Crash, Restart)):
            self.accepted[event.client_id] += 1

    def tell(self, channel, *events):
        for event in events:
            channel.tell(event)
            self.accept(event)

    def settle(self, outbound):
        """Fail unless this is all that was to come."""
        answered = Counter()
        for message in outbound:
            if isinstance(message, BroadcastMessage):
                answered[message.payload] += 1
            elif isinstance(message, Reply) or (isinstance(message, PushMessage) and message.event != "topic_crashed"):
                answered[message.client_id] += 1
        wrong = {client: (self.accepted[client], answered[client]) for client in self.accepted | answered}
        assert {client: count for client, count in wrong.items() if count[0] != count[1]} == {}, "client: (accepted, answered)"
        self.accepted.clear()


def assert_nothing_is_left(channel):
    """Of a channel that was closed."""
    supervisor = channel._supervisor.actor
    assert [topic.name for topic in supervisor._topics.values() if topic.live is not None] == []
    assert (supervisor._leaving, supervisor._in_hand) == ({}, {})
    assert not channel._supervisor.is_alive()


@contextlib.contextmanager
def trial(seed):
    try:
        yield
    except BaseException as error:
        error.add_note(f"the seed was {seed}")
        raise
