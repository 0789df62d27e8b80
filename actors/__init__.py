"""What a topic is: events, outbound messages, presence, a topic's state, and the actor around it."""

from lightspeed.actors.channel_state import ChannelLife, ChannelState
from lightspeed.actors.errors import Ignore, InForkedChild, Shutdown
from lightspeed.actors.exits import ExitReason
from lightspeed.actors.logs import be_silent, lead_pykka_records
from lightspeed.actors.pool import ActorPool, default_pool
from lightspeed.actors.pooled_actor import PooledActor
from lightspeed.actors.runtime import Pool, Runtime, Threads
from lightspeed.actors.supervisable import Supervisable
from lightspeed.actors.topic import TopicState
from lightspeed.actors.topic_actor import TopicActor
from lightspeed.actors.watching import Down, unwatch, watch

__all__ = [
    "ActorPool",
    "ChannelLife",
    "ChannelState",
    "Down",
    "ExitReason",
    "Ignore",
    "InForkedChild",
    "Pool",
    "PooledActor",
    "Runtime",
    "Shutdown",
    "Supervisable",
    "Threads",
    "TopicActor",
    "TopicState",
    "default_pool",
    "unwatch",
    "watch",
]

be_silent()
lead_pykka_records()
