from hypothesis import given
from hypothesis import strategies as st
from naive import NaiveChannel, events, state_of

from lightspeed.actors.topics import ChannelState


@given(st.lists(events))
def test_the_pure_channel_does_what_the_naive_model_does(sequence):
    channel, naive = ChannelState(), NaiveChannel()
    for event in sequence:
        assert list(channel.handle(event)) == naive.handle(event)
        assert state_of(channel) == state_of(naive)
        assert channel.membership_count == len(naive.members)
