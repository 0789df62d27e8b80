"""Bugs, planted in the runtime for as long as a `with` lasts: each is one that such a runtime could well have."""

from contextlib import contextmanager
from unittest.mock import patch

from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Delivery
from lightspeed.actors.topics.rules.events import Rejoin
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.actors.topics.rules.presence import Entry, Meta, Presence, Roster
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.supervision.topics.supervisor import TopicSupervisor
from lightspeed.supervision.topics.topic import Incarnation, Topic, Trouble


@contextmanager
def lost_rejoin_during_restart():
    """A rejoin that comes while the topic's next actor waits to be started is lost."""
    start = TopicSupervisor._start

    def lose(supervisor, one):
        if one.restore is not None:
            one.waiting = [mail for mail in one.waiting if type(getattr(mail, "request", None)) is not Rejoin]
        start(supervisor, one)

    with patch.object(TopicSupervisor, "_start", lose):
        yield


@contextmanager
def member_not_replayed():
    """The supervisor forgets the last of several members."""
    take = Trouble.take
    with patch.object(Trouble, "take", lambda trouble, incarnation: take(trouble, incarnation)[:2]):
        yield


@contextmanager
def key_left_after_its_last_device():
    """A user who had several devices stays present when the last of them has left."""

    def going(presence, client_id, key):
        present = presence._metas[key]
        if isinstance(present, Meta):
            return Entry(key, (present,)), presence._metas, key
        return Entry(key, (present[client_id],)), present, client_id

    with patch.object(Presence, "going", going):
        yield


@contextmanager
def diff_to_who_has_left():
    """A presence diff is for whoever is in the topic when it is read."""

    def without_another(roster):
        return roster.recipients._view

    with patch.object(Roster, "without_another", without_another):
        yield


@contextmanager
def handled_by_the_dead():
    """A topic's actor that failed still handles what stands in its inbox."""
    on_end = TopicActor.on_end

    def handle_the_rest(actor, error):
        if error is not None:
            for mail in list(actor._pooled_inbox):
                if type(mail) is Delivery:
                    actor._pooled_inbox.remove(mail)
                    actor.on_receive(mail)
        on_end(actor, error)

    with patch.object(TopicActor, "on_end", handle_the_rest):
        yield


@contextmanager
def double_reply():
    """The event that a topic failed on is answered, and then handed to the next actor all the same."""
    bury = TopicSupervisor._bury

    def answer_and_go_on(supervisor, one, failure):
        in_flight = one.cell.in_flight.get(one.cell)
        if one.leaving is None and type(in_flight) is Delivery:
            one.keep(in_flight)
        bury(supervisor, one, failure)

    with patch.object(TopicSupervisor, "_bury", answer_and_go_on):
        yield


@contextmanager
def order_broken_by_a_race():
    """What had gathered in a failed actor's inbox is handed to the next one the wrong way round."""
    take_left = TopicSupervisor._take_left
    with patch.object(TopicSupervisor, "_take_left", lambda supervisor, one: take_left(supervisor, one)[::-1]):
        yield


@contextmanager
def crash_lost_during_restart():
    """A topic that is being restarted counts as empty until the actor before it has ended and its members are back."""
    with (
        patch.object(Incarnation, "is_settled", property(lambda one: not one.is_busy)),
        patch.object(Topic, "count", lambda topic: topic.live.cell.members),
    ):
        yield


@contextmanager
def ordered_end_forgotten():
    """What comes up after a crash by order begins as if nothing had been before."""
    note_death = TopicSupervisor._note_death

    def forget(supervisor, name, reason):
        if ": " in reason:  # a failure
            note_death(supervisor, name, reason)

    with patch.object(TopicSupervisor, "_note_death", forget):
        yield


@contextmanager
def refused_without_a_word():
    """Who is brought back and refused is not told."""

    def replay(state, rejoins):
        return tuple(message for event in rejoins for message in state.handle(event) if type(message) is not Reply)

    with patch.object(TopicState, "replay", replay):
        yield


BUGS = {
    "lost rejoin during restart": (lost_rejoin_during_restart, "accounted_for"),
    "member not replayed": (member_not_replayed, "rejoin"),
    "diff to who has left": (diff_to_who_has_left, "model"),
    "key left after its last device": (key_left_after_its_last_device, "presence"),
    "handled by the dead": (handled_by_the_dead, "dead_incarnation"),
    "double reply": (double_reply, "accounted_for"),
    "order broken by a race": (order_broken_by_a_race, "order"),
    "crash lost during restart": (crash_lost_during_restart, "orders"),
    "ordered end forgotten": (ordered_end_forgotten, "model"),
    "refused without a word": (refused_without_a_word, "rejoin"),
}
"""Each with the invariant that it breaks."""
