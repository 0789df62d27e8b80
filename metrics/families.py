"""What stands in a scrape: each field of a snapshot as a family, and what the hooks count. Needs `prometheus_client`."""

from collections.abc import Iterator
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


class PrometheusHooks(MetricsHooks):
    """What happens, counted by kind of event and by pattern. They stand in no registry of their own."""

    def __init__(self, meter: Meter, namespace: str) -> None:
        self.meter = meter
        named: dict[str, Any] = {"namespace": namespace, "registry": None}
        pattern = ("pattern",)
        self._accepted = Counter("events", "Events that were accepted.", ("event", *pattern), **named)
        self._handled = Histogram(
            "handled_seconds", "How long topics took over events.", ("event", *pattern), buckets=_SECONDS, **named
        )
        self._answered = Counter("replies", "Replies that were given out.", ("status", *pattern), **named)
        self._mailbox = Histogram(
            "mailbox_length", "What waited for a topic as an event was sent to it.", pattern, buckets=_LENGTHS, **named
        )
        self._crashed = Counter("topic_crashes", "Topics that failed or were crashed by name.", pattern, **named)
        self._restarted = Counter("topic_restarts", "Topics that came up again.", pattern, **named)
        self._overloaded = Counter("topic_overloads", "Topics that began to shed events.", pattern, **named)
        self._letters = Counter("topic_dead_letters", "Dead letters.", ("why", *pattern), **named)
        self._made: dict[tuple[Any, ...], Any] = {}
        """The labelled ones: to look for one in its family takes a lock, and half of the time of a hook."""

    @property
    def _families(self) -> tuple[Counter | Histogram, ...]:
        by_topic = (self._crashed, self._restarted, self._overloaded, self._letters)
        return (self._accepted, self._handled, self._answered, self._mailbox, *by_topic)

    def describe(self) -> Iterator[Metric]:
        for family in self._families:
            yield from family.describe()

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            yield from family.collect()

    def _of(self, family: Counter | Histogram, *labels: str) -> Any:
        key = (family, *labels)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = family.labels(*labels)
        return made

    def _pattern(self, what: Any) -> str:
        return self.meter.pattern_of(getattr(what, "topic", None))

    def accepted(self, event: Event) -> None:
        self._of(self._accepted, event_label(event), self._pattern(event)).inc()

    def handled(self, event: TopicEvent, seconds: float) -> None:
        self._of(self._handled, event_label(event), self._pattern(event)).observe(seconds)

    def answered(self, reply: Reply) -> None:
        self._of(self._answered, reply.status, self._pattern(reply)).inc()

    def mailbox(self, topic: str, length: int) -> None:
        self._of(self._mailbox, self.meter.pattern_of(topic)).observe(length)

    def crashed(self, topic: str | None, reason: str) -> None:
        if topic is not None:
            self._of(self._crashed, self.meter.pattern_of(topic)).inc()

    def restarted(self, topic: str | None) -> None:
        if topic is not None:
            self._of(self._restarted, self.meter.pattern_of(topic)).inc()

    def overloaded(self, topic: str) -> None:
        self._of(self._overloaded, self.meter.pattern_of(topic)).inc()

    def dead_letter(self, letter: DeadLetter) -> None:
        self._of(self._letters, letter.why, self._pattern(letter)).inc()
