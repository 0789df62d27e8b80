"""Channels on many nodes: what one knows of another, and the seam to what carries their frames."""

from lightspeed.cluster.engine import Engine, Listener, Parcel
from lightspeed.cluster.memory import MemoryBus, MemoryEngine
from lightspeed.cluster.redis import RedisEngine

__all__ = ["Engine", "Listener", "MemoryBus", "MemoryEngine", "Parcel", "RedisEngine"]
