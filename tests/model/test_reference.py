from hypothesis import given
from hypothesis import strategies as st
from model.reference import ReferenceTopic
from naive import topic_events

from lightspeed.actors.topics import TopicState
from lightspeed.actors.topics.rules.outbound import PresenceDiff


@given(st.lists(topic_events, max_size=40))
def test_the_reference_and_the_relay_give_out_the_same_and_come_to_the_same(events):
    ours, reference = TopicState("x"), ReferenceTopic("x")
    for event in events:
        assert tuple(ours.handle(event)) == reference.handle(event) or event.topic != "x"
        if event.topic != "x":
            assert len(reference.members) == len(ours)
    assert ours.subscribers == tuple(reference.members)
    assert ours.presences == reference.presences


@given(st.lists(topic_events, max_size=40))
def test_the_fold_of_what_was_given_out_of_presence_is_who_is_present(events):
    ours, folded = TopicState("x"), ReferenceTopic("x")
    for event in events:
        for message in ours.handle(event):
            if isinstance(message, PresenceDiff):
                folded.fold(message.diff)
    assert ours.presences == folded.presences
    assert set(ours.subscribers) == set(folded.members)
