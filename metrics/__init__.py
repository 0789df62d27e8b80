"""How a channel is: a snapshot of it, hooks for each event, and both for Prometheus."""

from lightspeed.metrics.hooks import Meter, MetricsHooks, MetricsLayer
from lightspeed.metrics.prometheus import PrometheusMetrics
from lightspeed.metrics.snapshot import ChannelMetrics

__all__ = ["ChannelMetrics", "Meter", "MetricsHooks", "MetricsLayer", "PrometheusMetrics"]
