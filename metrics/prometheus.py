"""A channel's metrics for Prometheus. What needs `prometheus_client` is loaded with the first of them."""

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, Self

from lightspeed.actors.errors import InForkedChild
from lightspeed.metrics.hooks import Meter

if TYPE_CHECKING:
    from lightspeed.metrics.snapshot import ChannelMetrics


class Measured(Protocol):
    """A channel, as far as its metrics go."""

    def metrics(self) -> "ChannelMetrics": ...

    @property
    def meter(self) -> Meter | None: ...


class PrometheusMetrics:
    """A collector: what `channel.metrics()` says, read at each scrape. It is registered when it is made.

    Where the channel was made with a `MetricsLayer`, there are also counters and histograms of what happens, by the kind of
    event and by the pattern of `behaviours`; never by topic. It keeps no channel alive, and of one that is gone, or a parent
    process's, it has nothing to say. A context manager: closed, it is taken out of the registry.

    Args:
        registry: a `prometheus_client.CollectorRegistry`. None, the default: `prometheus_client.REGISTRY`.
        namespace: what all names begin with. Two channels in one registry need two. Default `lightspeed`.

    Raises:
        ImportError: `prometheus_client` is not installed; it says how to.
        ValueError: the registry's own: these names are registered already.
    """

    def __init__(self, channel: Measured, *, registry: Any = None, namespace: str = "lightspeed") -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise ImportError(
                "PrometheusMetrics needs prometheus_client: pip install 'lightspeed-channels[prometheus]'", name=error.name
            ) from error
        from lightspeed.metrics.families import PrometheusHooks, families_of

        self._families_of = families_of
        self._channel, self._namespace = weakref.ref(channel), namespace
        self._registry = prometheus_client.REGISTRY if registry is None else registry
        meter = channel.meter
        self._hooks = None if meter is None else PrometheusHooks(meter, namespace)
        self._is_closed = False
        self._registry.register(self)
        if meter is not None and self._hooks is not None:
            meter.add(self._hooks)

    def describe(self) -> Iterator[Any]:
        """The families without figures: by their names the registry knows a second one."""
        yield from self._families_of(None, self._namespace)
        if self._hooks is not None:
            yield from self._hooks.describe()

    def collect(self) -> Iterator[Any]:
        """What a scrape gets. Never waits, and never raises for the channel's sake: other metrics are in the same scrape."""
        channel = self._channel()
        try:
            metrics = None if channel is None else channel.metrics()
        except InForkedChild:
            metrics = None
        if metrics is None:
            return
        yield from self._families_of(metrics, self._namespace)
        if self._hooks is not None:
            yield from self._hooks.collect()

    def close(self) -> None:
        """Take it out of the registry, and its hooks out of the channel. Again is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        self._registry.unregister(self)
        channel = self._channel()
        if channel is not None and self._hooks is not None:
            self._hooks.meter.remove(self._hooks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
