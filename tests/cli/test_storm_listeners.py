"""The storm's listeners hold what came into their inboxes against what their channel gave out."""

import pytest

from lightspeed.channel import Broadcast, Channel, Push, new_single_node
from lightspeed.cli.storm_listeners import Listeners, is_listeners
from lightspeed.clients.hub import Hub


def stormed(count, messages, *more):
    """Listeners whose channel's sink is their account, and what came of so many broadcasts of one of them."""
    given = []
    with Channel(on_outbound=given.append) as channel:
        listeners = Listeners(channel, ("x", "y"), count)
        for number in range(messages):
            channel.handle(Broadcast("storm listener 0", "x", str(number)))
        for event in more:
            channel.handle(event)
    for message in given:
        listeners.due(message)
    listeners.read()
    listeners.close()
    return listeners


def test_what_comes_into_an_inbox_is_what_was_due():
    listeners = stormed(3, 10)
    assert (listeners.wrong(), listeners.lost) == ([], 0)
    assert listeners.heard == (10 + 6) + (10 + 4) + (10 + 2)  # the joins of two topics besides


def test_what_finds_no_room_is_told_and_counts():
    listeners = stormed(2, 100)  # the second one has an inbox of 50
    assert (listeners.wrong(), listeners.lost) == ([], 100 + 2 - 50)


def test_a_message_too_many_is_found():
    told = Push("storm listener 0", "x", "e", "p")  # of pushes the account knows nothing
    assert stormed(1, 1, told).wrong() == ["storm listener 0 had 4 messages and lost 0, where 3 were due"]


def test_a_message_that_is_lost_without_a_word_is_found(monkeypatch):
    monkeypatch.setattr(Hub, "_broadcast", lambda hub, message: None)
    assert stormed(1, 1).wrong() == ["storm listener 0 had 2 messages and lost 0, where 3 were due"]


def test_no_listeners_have_nothing_to_hear():
    with new_single_node() as channel:
        listeners = Listeners(channel, ("x",), 0)
        listeners.read()
        assert (listeners.wrong(), channel.topics()) == ([], ())


@pytest.mark.parametrize(("client_id", "is_one"), [("storm listener 3", True), ("3.1", False), (None, False)])
def test_a_listener_is_known_by_its_id(client_id, is_one):
    assert is_listeners(client_id) == is_one
