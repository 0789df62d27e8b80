import copy
import pickle

import pytest

from lightspeed.actors.topics import TopicState
from lightspeed.channel import (
    Broadcast,
    BroadcastMessage,
    Diff,
    Join,
    PresenceDiff,
    PushMessage,
    Reply,
    System,
    encode,
    outbound_label,
)


def test_every_message_has_its_label():
    messages = [
        Reply("c", "t", "ok", "joined"),
        PushMessage("c", "t", "e", "p"),
        BroadcastMessage("t", "p", ("c",)),
        PresenceDiff("t", Diff("t")),
        System("restarted"),
    ]
    labels = ["reply", "push_message", "broadcast_message", "presence_diff", "system"]
    assert [outbound_label(message) for message in messages] == labels
    assert len(set(messages)) == 5


def given_out():
    """A diff and a broadcast as a topic of two gives them out, and the same without what stands beside their values."""
    topic = TopicState("t")
    topic.handle(Join("c1", "t", "u", 1))
    _, diff = topic.handle(Join("c2", "t", "u", 2))
    (broadcast,) = topic.handle(Broadcast("c2", "t", "p"))
    return (diff, PresenceDiff("t", diff.diff)), (broadcast, BroadcastMessage("t", "p", ("c1", "c2")))


def test_recipients_and_sender_are_no_part_of_a_messages_value():
    for told, bare in given_out():
        assert (told, hash(told), encode(told)) == (bare, hash(bare), encode(bare))
    (diff, bare), (broadcast, _) = given_out()
    assert (diff.recipients, bare.recipients, broadcast.sender) == (("c1", "c2"), (), "c2")
    assert repr(diff).endswith("recipients=2)")
    match diff:
        case PresenceDiff(topic, changed):
            assert (topic, changed) == ("t", diff.diff)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda message: pickle.loads(pickle.dumps(message))])
def test_recipients_and_sender_are_copied_and_pickled(again):
    (diff, _), (broadcast, _) = given_out()
    assert (again(diff), again(diff).recipients) == (diff, ("c1", "c2"))
    assert (again(broadcast), again(broadcast).sender, again(broadcast).recipients) == (broadcast, "c2", ("c1", "c2"))


def test_what_stands_beside_a_value_can_not_be_set():
    (diff, _), (broadcast, _) = given_out()
    for message, name in ((diff, "recipients"), (broadcast, "sender"), (diff, "_aside")):
        with pytest.raises(AttributeError):
            setattr(message, name, ())
