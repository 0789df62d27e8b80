"""Each of the rules about clients and mailboxes is broken by a channel with a bug, and the right one is named."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest

from lightspeed.actors.topics.mail import DroppingBox
from lightspeed.channel import (
    Backoff,
    Broadcast,
    Crash,
    Disconnect,
    FaultPlan,
    Join,
    Leave,
    Restart,
    Restarts,
    System,
)
from lightspeed.clients import Inbox
from lightspeed.clients.hub import Hub
from lightspeed.clients.inbox import InboxQueue
from lightspeed.clients.session import Session
from lightspeed.faults import Raise
from lightspeed.supervision.topics import Mailbox, TopicSupervisor
from lightspeed.supervision.topics.dead_letters import DeadLetters
from lightspeed.supervision.topics.messages import AskTopicsOf, Recovered
from lightspeed.supervision.topics.overload import SheddingRouter
from lightspeed.supervision.topics.supervisor import _HANDLERS
from lightspeed.testing import Case, play


def chat(simulation):
    """Two clients talk, one with a small inbox; their room crashes and comes up, and one comes back to it."""
    channel = simulation.channel(behaviours={})
    ann = channel.client("a", "ann", inbox=Inbox(max_messages=2))
    bob = channel.client("b", "bob", auto_rejoin=False)
    for client in (ann, bob):
        client.join("x")
    for payload in ("one", "two", "three"):
        bob.broadcast("x", payload)
    ann.receive(0)
    bob.send(Join("b", "x", "bob", 5))
    simulation.run()
    channel.handle(Crash("ordered", "x"))
    channel.handle(Restart("x"))
    simulation.run_for(20)
    ann.update("x", "blue")
    bob.join("x")
    bob.leave("x")
    simulation.run_for(20)


def whereabouts(simulation):
    """It is asked where two are: as they come, while they are in, while one is brought back, and as they leave."""
    restarts = Restarts(backoff=Backoff(floor_s=5, cap_s=5, jitter=0))
    plan = FaultPlan((Raise(topic="x", at=2),))
    channel = simulation.channel(faults=plan, rejoin="supervisor", restarts=restarts, on_outbound=[].append)
    channel.topics_of("a")
    for event in (Join("a", "x", "ann", 0), Join("a", "y", "ann", 0), Join("b", "y", "bob", 0)):
        channel.tell(event)
    channel.topics_of("a"), channel.topics_of("b")
    channel.tell(Broadcast("a", "x", "too much"))
    simulation.run()
    channel.topics_of("a")
    for event in (Leave("a", "y"), Broadcast("b", "y", "bye"), Disconnect("b")):
        channel.tell(event)
    channel.topics_of("a"), channel.topics_of("b")


def flood(simulation, overflow):
    """More comes at once than the mailbox takes; twice."""
    channel = simulation.channel(mailboxes=Mailbox(max_messages=1, overflow=overflow))
    channel.handle(Join("a", "x", "ann", 0))
    for _ in range(2):
        for number in range(30):
            channel.tell(Broadcast("a", "x", str(number)))
        simulation.run_for(1)


@contextmanager
def replaced(owner, name, other):
    """The method calls `other` with what it replaces."""
    method = getattr(owner, name)
    with patch.object(owner, name, lambda *args, **options: other(method, *args, **options)):
        yield


def twice(method, hub, message):
    method(hub, message)
    method(hub, message)


def nothing(_method, *_args, **_options):
    """It is not done."""


def fold_no_leaves(method, hub, message):
    """Who leaves stays in the presence that clients see."""
    view = hub._views.get(message.topic)
    before = {} if view is None else dict(view.presence)
    method(hub, message)
    if view is not None and message.diff.leaves:
        view.presence.update({key: metas for key, metas in before.items() if key not in view.presence})


def forget_gap(method, inbox):
    """What was dropped is not told."""
    method(inbox)
    inbox.items.popleft()


def count_one_more(method, inbox):
    method(inbox)
    inbox.items[0].count += 1


def stay_in(method, session, topic):
    """A client that has left is in it still, as far as it knows."""
    text = session._topics.get(topic, "")
    method(session, topic)
    session._topics[topic] = text


@pytest.mark.parametrize(
    ("owner", "name", "other", "rule"),
    [
        (Hub, "_broadcast", twice, "clients"),
        (Hub, "_broadcast", nothing, "clients"),
        (Hub, "_answer", nothing, "clients"),
        (Hub, "_fold", fold_no_leaves, "clients"),
        (Hub, "gone", nothing, "clients"),
        (Session, "exit", stay_in, "clients"),
        (InboxQueue, "_drop_oldest", forget_gap, "inbox"),
        (InboxQueue, "_drop_oldest", count_one_more, "inbox"),
    ],
)
def test_a_bug_about_clients_is_found(owner, name, other, rule):
    assert play(Case(chat)).error is None
    with replaced(owner, name, other):
        assert play(Case(chat)).failure == rule


def but_for_the_ledger(method, router, client_id):
    """Whoever is to be brought back is not looked for."""
    with patch.object(router, "_ledger", {}):
        return method(router, client_id)


def but_the_last(method, router, client_id):
    return set(sorted(method(router, client_id))[:-1])


def answer_at_once(router, message):
    """As of what has been handled, and not of what was accepted."""
    states = {name: router._live(name).cell.state for name in router._topics_of(message.client_id) if router._live(name)}
    message.reply.set({name: state is not None and message.client_id in state.users for name, state in states.items()})


@pytest.mark.parametrize(
    ("owner", "name", "other", "text"),
    [
        (Hub, "_add", nothing, "topics_of of a: 0 in y, where there were [1]"),
        (Hub, "expect", nothing, "topics_of of b: it did not wait for [Join(client_id='b', topic='y'"),
        (TopicSupervisor, "_topics_of", but_for_the_ledger, "topics_of of a: 0 in x, where there were [1]"),
        (TopicSupervisor, "_topics_of", but_the_last, "topics_of of b: 0 in y, where there were [1]"),
    ],
)
def test_a_bug_about_where_clients_are_is_found(owner, name, other, text):
    cases = [Case(whereabouts, seed) for seed in range(10)]
    assert [play(case).error for case in cases] == [None] * 10
    with replaced(owner, name, other):
        found = [outcome for outcome in map(play, cases) if outcome.error is not None]
    assert {outcome.failure for outcome in found} == {"reads"}
    assert any(text in str(outcome.error) for outcome in found)


def test_an_answer_ahead_of_what_was_accepted_before_is_found():
    with patch.dict(_HANDLERS, {AskTopicsOf: answer_at_once}):
        found = [play(Case(whereabouts, seed)) for seed in range(10)]
    assert {outcome.failure for outcome in found} == {"reads"}
    assert any("topics_of of b: it did not wait for [Join(" in str(outcome.error) for outcome in found)


def lose(method, router, delivery):
    """What is dropped is no dead letter."""
    with patch.object(DeadLetters, "add", lambda _letters, _letter: None):
        method(router, delivery)


def not_answered(method, router, delivery):
    """It is a dead letter, and whoever waits for it is not told."""
    with patch.object(type(router), "_put_out", lambda *_args: None):
        method(router, delivery)


def say_again(method, router, one, name):
    router._emit_unasked(name, (System(f"topic_overloaded:{name}"),))
    method(router, one, name)


@pytest.mark.parametrize(
    ("overflow", "owner", "name", "other", "rule"),
    [
        ("drop_newest", SheddingRouter, "_shed", lose, "overload"),
        ("drop_oldest", SheddingRouter, "_shed", lose, "overload"),
        ("drop_newest", SheddingRouter, "_shed", not_answered, "accounted_for"),
        ("refuse", SheddingRouter, "_note_overload", say_again, "overload"),
    ],
)
def test_a_bug_about_mailboxes_is_found(overflow, owner, name, other, rule):
    def play_it(simulation):
        flood(simulation, overflow)

    assert play(Case(play_it)).error is None
    with replaced(owner, name, other):
        assert play(Case(play_it)).failure == rule


def test_a_topic_that_never_says_that_it_has_caught_up_is_found():
    with patch.dict(_HANDLERS, {Recovered: lambda _supervisor, _message: None}):
        assert play(Case(lambda simulation: flood(simulation, "refuse"))).failure == "overload"


def test_a_box_that_forgets_what_it_drops_is_found():
    def forget(box):
        with box._lock:
            for place, delivery in enumerate(box._deliveries):
                if type(delivery.request) is Broadcast:
                    del box._deliveries[place]
                    return

    with patch.object(DroppingBox, "drop_oldest", forget):
        assert play(Case(lambda simulation: flood(simulation, "drop_oldest"))).failure == "accounted_for"
