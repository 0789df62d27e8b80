"""What a topic is: events, outbound messages, presence, a topic's state, and the actor around it."""

from lightspeed.actors.channel_state import ChannelLife, ChannelState
from lightspeed.actors.logs import lead_pykka_records, logger
from lightspeed.actors.pool import ActorPool, default_pool
from lightspeed.actors.pooled_actor import PooledActor
from lightspeed.actors.runtime import Pool, Runtime, Threads
from lightspeed.actors.topic import TopicState
from lightspeed.actors.topic_actor import TopicActor

__all__ = [
    "ActorPool",
    "ChannelLife",
    "ChannelState",
    "Pool",
    "PooledActor",
    "Runtime",
    "Threads",
    "TopicActor",
    "TopicState",
    "default_pool",
]

logger.disable("lightspeed")
lead_pykka_records()
