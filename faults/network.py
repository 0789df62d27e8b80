"""Faults of what carries frames between the nodes of a cluster. They act in a simulation only: `Simulation.cluster`.

Each acts at a frame that comes to a node, numbered by node; `topic` names nodes here.
"""

from typing import ClassVar

from lightspeed.faults.fault import Fault, Place, _ForSeconds, _OnEvent


class _OnFrame(_OnEvent, frozen=True, kw_only=True, omit_defaults=True):
    place: ClassVar[Place] = "network"
    concerns: ClassVar[frozenset[str]] = frozenset()


class _FrameForSeconds(_ForSeconds, frozen=True, omit_defaults=True):
    place: ClassVar[Place] = "network"
    concerns: ClassVar[frozenset[str]] = frozenset()


class LoseFrame(_OnFrame, frozen=True, omit_defaults=True, tag="lose_frame"):
    """The frame does not come to the node."""


class DoubleFrame(_OnFrame, frozen=True, omit_defaults=True, tag="double_frame"):
    """The frame comes to the node twice."""


class DelayFrame(_FrameForSeconds, frozen=True, omit_defaults=True, tag="delay_frame"):
    """The frame comes so much later, and others pass it."""


class Stall(_FrameForSeconds, frozen=True, omit_defaults=True, tag="stall"):
    """The frame, and all that come to the node behind it, come so much later, in order."""


class Cut(_FrameForSeconds, frozen=True, omit_defaults=True, tag="cut"):
    """The node's link breaks for so long. It knows; what others publish meanwhile does not come to it."""


class Deaf(_FrameForSeconds, frozen=True, omit_defaults=True, tag="deaf"):
    """Nothing comes to the node for so long, or until it subscribes anew. It is not told."""


class Mute(_FrameForSeconds, frozen=True, omit_defaults=True, tag="mute"):
    """What the node publishes comes to nobody for so long. It is told that all is published, and keeps its lease."""


class Freeze(_FrameForSeconds, frozen=True, omit_defaults=True, tag="freeze"):
    """The node gets and gives nothing for so long, and does not renew its lease; then all of that goes on."""


class LoseAck(_OnFrame, frozen=True, omit_defaults=True, tag="lose_ack"):
    """What the node publishes next comes to all, and the node is told that this is not known."""


class RestartEngine(_FrameForSeconds, frozen=True, omit_defaults=True, tag="restart_engine"):
    """All links break for so long, and all leases are forgotten."""


class KillNode(_OnFrame, frozen=True, omit_defaults=True, tag="kill_node"):
    """The node's process dies, without a word."""


NETWORK_KINDS: dict[str, type[Fault]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(LoseFrame, DoubleFrame, DelayFrame, Stall, Cut, Deaf, Mute),
        *(Freeze, LoseAck, RestartEngine, KillNode),
    )
}
"""Each kind by its name in JSON."""
