"""Where a channel's messages are carried: within this process, or to come, between the nodes of a cluster."""

from msgspec import Struct


class SingleNode(Struct, frozen=True):
    """Everybody is in this process."""

    @property
    def label(self) -> str:
        return "single_node"


class ClusterReady(Struct, frozen=True):
    """This node of a cluster. For now it delivers within this process, as `SingleNode` does; its identity is carried along."""

    node_id: str
    """Not empty."""
    cluster: str
    """Not empty."""

    @property
    def label(self) -> str:
        return f"cluster_ready:{self.cluster}/{self.node_id}"


Adapter = SingleNode | ClusterReady
