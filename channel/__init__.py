"""All that an embedder needs: `from lightspeed.channel import Channel, Join, Broadcast, new_single_node`."""

from lightspeed.actors import ChannelState, Pool, Runtime, Threads
from lightspeed.actors.behaviour import Behaviour
from lightspeed.actors.errors import (
    CapsuleRefused,
    ChannelClosed,
    ChannelTimeout,
    InsideActor,
    InvalidCapsule,
    InvalidEvent,
    InvalidOption,
    InvalidTrace,
    LightspeedError,
    RoomMisused,
    TokenUsed,
    TopicCrash,
    TopicStuck,
)
from lightspeed.actors.events import (
    Broadcast,
    Crash,
    Event,
    Join,
    Leave,
    Push,
    Rejoin,
    Restart,
    check_event,
    event_label,
)
from lightspeed.actors.outbound import (
    BroadcastMessage,
    Outbound,
    PresenceDiff,
    PushMessage,
    Reply,
    System,
    outbound_label,
)
from lightspeed.actors.presence import Diff, Entry, Meta
from lightspeed.actors.room import Room
from lightspeed.channel.adapter import Adapter, ClusterReady, SingleNode
from lightspeed.channel.channel import Channel, new_cluster_ready, new_single_node
from lightspeed.channel.codec import decode_event, encode
from lightspeed.channel.trace import read_batches, read_trace
from lightspeed.supervision import Backoff, Capsules, DeadLetter, Restarts, Sink

__all__ = [
    "Adapter",
    "Backoff",
    "Behaviour",
    "Broadcast",
    "BroadcastMessage",
    "CapsuleRefused",
    "Capsules",
    "Channel",
    "ChannelClosed",
    "ChannelState",
    "ChannelTimeout",
    "ClusterReady",
    "Crash",
    "DeadLetter",
    "Diff",
    "Entry",
    "Event",
    "InsideActor",
    "InvalidCapsule",
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
    "Runtime",
    "SingleNode",
    "Sink",
    "System",
    "Threads",
    "TokenUsed",
    "TopicCrash",
    "TopicStuck",
    "check_event",
    "decode_event",
    "encode",
    "event_label",
    "new_cluster_ready",
    "new_single_node",
    "outbound_label",
    "read_batches",
    "read_trace",
]
