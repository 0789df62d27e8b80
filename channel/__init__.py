"""All that an embedder needs: `from lightspeed.channel import Channel, Join, Broadcast, new_single_node`.

Fault kinds are in `lightspeed.faults`, what replays capsules in `lightspeed.capsules`, simulations in `lightspeed.testing`, the
supervisor of any actors in `lightspeed.supervision`.
"""

from lightspeed.actors import Loop, Pool, Threads
from lightspeed.actors.errors import (
    ChannelClosed,
    ChannelTimeout,
    ClientClosed,
    ClientExists,
    InboxEmpty,
    InForkedChild,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    InvalidTrace,
    LightspeedError,
    NodeNameTaken,
    OutboxOff,
    Overloaded,
    Refused,
    RoomMisused,
    WrongLoop,
)
from lightspeed.actors.topics.rules.events import (
    Broadcast,
    Crash,
    Disconnect,
    Event,
    Join,
    Leave,
    Publish,
    Push,
    Rejoin,
    Restart,
    Send,
    event_label,
)
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
from lightspeed.channel.async_channel import AsyncChannel
from lightspeed.channel.channel import Channel, new_cluster_ready, new_single_node
from lightspeed.channel.codec import decode_event, encode
from lightspeed.channel.options import ClusterReady, SingleNode
from lightspeed.channel.trace import read_trace
from lightspeed.clients import AsyncClient, Client, Inbox, Lagged, Removed, TopicDown, TopicUp
from lightspeed.faults import FaultPlan
from lightspeed.metrics import ChannelMetrics
from lightspeed.supervision import Backoff, Tree
from lightspeed.supervision.topics import DeadLetter, Mailbox, Restarts

__all__ = [
    "AsyncChannel",
    "AsyncClient",
    "Backoff",
    "Behaviour",
    "Broadcast",
    "BroadcastMessage",
    "Capsules",
    "Channel",
    "ChannelClosed",
    "ChannelMetrics",
    "ChannelTimeout",
    "Client",
    "ClientClosed",
    "ClientExists",
    "ClusterReady",
    "Crash",
    "DeadLetter",
    "Diff",
    "Disconnect",
    "Entry",
    "Event",
    "FaultPlan",
    "InForkedChild",
    "Inbox",
    "InboxEmpty",
    "InsideActor",
    "InvalidEvent",
    "InvalidOption",
    "InvalidTrace",
    "Join",
    "Lagged",
    "Leave",
    "LightspeedError",
    "Loop",
    "Mailbox",
    "Meta",
    "NodeNameTaken",
    "Outbound",
    "OutboxOff",
    "Overloaded",
    "Pool",
    "PresenceDiff",
    "Publish",
    "Push",
    "PushMessage",
    "Refused",
    "Rejoin",
    "Removed",
    "Reply",
    "Restart",
    "Restarts",
    "Room",
    "RoomMisused",
    "Send",
    "SingleNode",
    "System",
    "Threads",
    "TopicDown",
    "TopicUp",
    "Tree",
    "WrongLoop",
    "decode_event",
    "encode",
    "event_label",
    "new_cluster_ready",
    "new_single_node",
    "outbound_label",
    "read_trace",
]
