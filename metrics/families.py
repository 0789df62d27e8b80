"""What stands in a scrape: each field of a snapshot as a family, and what the hooks count. Needs `prometheus_client`."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from lightspeed.actors.topics.rules.events import Event, TopicEvent, event_label
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.metrics.hooks import Meter, MetricsHooks
from lightspeed.metrics.snapshot import ChannelMetrics
from lightspeed.supervision.topics.dead_letters import DeadLetter

_COUNTERS = {
    "accepted": "Events that were accepted.",
    "outbox_dropped": "Messages that the outbox had no room for.",
    "inbox_dropped": "Messages that found no room in the inbox of a client.",
    "dead_letters": "What was accepted or given out and reached nobody.",
    "shed": "Events that a mailbox had no room for.",
    "abandoned": "Topic actors that did not come back in time.",
    "failures": "Ends of topics that nobody ordered.",
    "crashes": "Crashes by order, of a topic or of the channel.",
    "restarts": "How often a topic came up again.",
    "given_up": "How often a topic failed too often, and stayed down.",
    "nodes_buried": "How often a node of the cluster was taken for dead.",
    "nodes_lost": "Messages of other nodes that did not come.",
    "nodes_unsent": "Broadcasts that found no room while the link to other nodes was down.",
    "bad_frames": "What came from the engine of the cluster and was no frame.",
}
_GAUGES = {
    "waiting": "Events that wait for the supervisor.",
    "topics": "Topics of which something is known.",
    "topics_down": "Topics that are down by themselves.",
    "topics_overloaded": "Topics that shed events.",
    "crashed": "1 while the whole channel is down.",
    "clients": "Living clients within the process.",
    "nodes": "Other nodes of the cluster that live.",
    "outbox_length": "What waits for a flush, or for the sink.",
}

_SECONDS = (0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5)
_LENGTHS = (0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


def families_of(metrics: ChannelMetrics | None, namespace: str) -> Iterator[Metric]:
    """A family for each field; without metrics they have no figures."""
    for kind, texts in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
        for name, text in texts.items():
            value = None if metrics is None else float(getattr(metrics, name))
            yield kind(f"{namespace}_{name}", text, value=value)


_HOOKED: dict[str, tuple[Any, ...]] = {  # a kind of family, its text, and its labels besides the pattern
    "events": (Counter, "Events that were accepted.", "event"),
    "handled_seconds": (partial(Histogram, buckets=_SECONDS), "How long topics took over events.", "event"),
    "replies": (Counter, "Replies that were given out.", "status"),
    "mailbox_length": (partial(Histogram, buckets=_LENGTHS), "What waited for a topic as an event was sent to it."),
    "topic_crashes": (Counter, "Topics that failed or were crashed by name."),
    "topic_restarts": (Counter, "Topics that came up again."),
    "topic_overloads": (Counter, "Topics that began to shed events."),
    "topic_dead_letters": (Counter, "Dead letters.", "why"),
}


class PrometheusHooks(MetricsHooks):
    """What happens, counted by kind of event and by pattern. They stand in no registry of their own."""

    def __init__(self, meter: Meter, namespace: str) -> None:
        self.meter = meter
        self._families: dict[str, Any] = {
            name: kind(name, text, (*labels, "pattern"), namespace=namespace, registry=None)
            for name, (kind, text, *labels) in _HOOKED.items()
        }
        self._made: dict[tuple[str, ...], Any] = {}
        """The labelled ones: to look for one in its family takes a lock, and half of the time of a hook."""

    def describe(self) -> Iterator[Metric]:
        for family in self._families.values():
            yield from family.describe()

    def collect(self) -> Iterator[Metric]:
        for family in self._families.values():
            yield from family.collect()

    def _of(self, name: str, what: Any, *labels: str) -> Any:
        """The one of this family with these labels, and the pattern of a topic or of what has one."""
        topic = what if isinstance(what, str) else getattr(what, "topic", None)
        key = (name, *labels, self.meter.pattern_of(topic))
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._families[name].labels(*key[1:])
        return made

    def accepted(self, event: Event) -> None:
        self._of("events", event, event_label(event)).inc()

    def handled(self, event: TopicEvent, seconds: float) -> None:
        self._of("handled_seconds", event, event_label(event)).observe(seconds)

    def answered(self, reply: Reply) -> None:
        self._of("replies", reply, reply.status).inc()

    def mailbox(self, topic: str, length: int) -> None:
        self._of("mailbox_length", topic).observe(length)

    def crashed(self, topic: str | None, reason: str) -> None:
        if topic is not None:
            self._of("topic_crashes", topic).inc()

    def restarted(self, topic: str | None) -> None:
        if topic is not None:
            self._of("topic_restarts", topic).inc()

    def overloaded(self, topic: str) -> None:
        self._of("topic_overloads", topic).inc()

    def dead_letter(self, letter: DeadLetter) -> None:
        self._of("topic_dead_letters", letter, letter.why).inc()
