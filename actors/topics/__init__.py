"""What a topic is: events, messages, presence, a topic's state, and the actor around it."""

from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.rules.life import ChannelLife, ChannelState
from lightspeed.actors.topics.rules.topic import TopicState

__all__ = ["ChannelLife", "ChannelState", "TopicActor", "TopicState"]
