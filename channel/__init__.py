"""All that an embedder needs: `from lightspeed.channel import Channel, Join, Broadcast, new_single_node`.

Fault kinds are in `lightspeed.faults`, what replays capsules in `lightspeed.capsules`, simulations in `lightspeed.testing`, the
supervisor of any actors in `lightspeed.supervision`.
"""

from lightspeed.actors import Pool, Threads
from lightspeed.actors.errors import (
    ChannelClosed,
    ChannelTimeout,
    InForkedChild,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    InvalidTrace,
    LightspeedError,
    RoomMisused,
)
from lightspeed.actors.topics.rules.events import Broadcast, Crash, Event, Join, Leave, Push, Rejoin, Restart, event_label
from lightspeed.actors.topics.rules.outbound import (
    BroadcastMessage,
    Outbound,
    PresenceDiff,
    PushMessage,
    Reply,
    System,
    outbound_label,
)
from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta
from lightspeed.actors.topics.rules.room import Behaviour, Room
from lightspeed.capsules import Capsules
from lightspeed.channel.channel import Channel, ClusterReady, SingleNode, new_cluster_ready, new_single_node
from lightspeed.channel.codec import decode_event, encode
from lightspeed.channel.trace import read_trace
from lightspeed.faults import FaultPlan
from lightspeed.supervision import Backoff, Tree
from lightspeed.supervision.topics import DeadLetter, Restarts

__all__ = [
    "Backoff",
    "Behaviour",
    "Broadcast",
    "BroadcastMessage",
    "Capsules",
    "Channel",
    "ChannelClosed",
    "ChannelTimeout",
    "ClusterReady",
    "Crash",
    "DeadLetter",
    "Diff",
    "Entry",
    "Event",
    "FaultPlan",
    "InForkedChild",
    "InsideActor",
    "InvalidEvent",
    "InvalidOption",
    "InvalidTrace",
    "Join",
    "Leave",
    "LightspeedError",
    "Meta",
    "Outbound",
    "Pool",
    "PresenceDiff",
    "Push",
    "PushMessage",
    "Rejoin",
    "Reply",
    "Restart",
    "Restarts",
    "Room",
    "RoomMisused",
    "SingleNode",
    "System",
    "Threads",
    "Tree",
    "decode_event",
    "encode",
    "event_label",
    "new_cluster_ready",
    "new_single_node",
    "outbound_label",
    "read_trace",
]
