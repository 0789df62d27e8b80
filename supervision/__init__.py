"""What keeps topics alive: the supervisor actor, its children, and where their messages go."""

from lightspeed.supervision.door import Door
from lightspeed.supervision.options import Options
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.sink import Sink, SinkActor, SinkLanes
from lightspeed.supervision.topic_supervisor import TopicSupervisor

__all__ = ["Door", "Options", "Outbox", "Sink", "SinkActor", "SinkLanes", "TopicSupervisor"]
