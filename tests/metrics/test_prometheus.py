"""What stands in a scrape; that no topic's name does."""

import builtins
import gc
import os
import re
import sys
import weakref
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from lightspeed.channel import Behaviour, Broadcast, Channel, ChannelMetrics, Crash, Join, Push, Send
from lightspeed.metrics import MetricsLayer, PrometheusMetrics
from lightspeed.metrics.families import families_of

JOIN = Join("c", "room:17", "u", 1)


class Moody(Behaviour):
    def on_push(self, room, client_id, event, payload):
        raise ValueError(payload)


@pytest.fixture
def registry():
    return CollectorRegistry()


def text_of(registry):
    return generate_latest(registry).decode()


def test_every_field_of_the_snapshot_is_a_family():
    names = {family.name for family in families_of(None, "x")}
    assert names == {f"x_{field}" for field in ChannelMetrics.__struct_fields__}


def test_a_scrape_says_what_the_snapshot_says(registry):
    with Channel() as channel, PrometheusMetrics(channel, registry=registry):
        channel.handle(JOIN)
        channel.handle(Send("nobody", "room:17", "e", "p"))
        channel.handle(Crash("x"))
        get = registry.get_sample_value
        assert get("lightspeed_accepted_total") == channel.metrics().accepted == 3
        assert (get("lightspeed_dead_letters_total"), get("lightspeed_crashed"), get("lightspeed_waiting")) == (1, 1, 0)
        assert "room:17" not in text_of(registry)
        assert "lightspeed_events_total" not in text_of(registry)  # there is no layer


def test_with_the_layer_there_are_counters_and_histograms_by_pattern_and_never_by_topic(registry):
    behaviours = {"room:*": Moody, "lobby": Moody}
    with (
        Channel(behaviours=behaviours, layers=(MetricsLayer(),)) as channel,
        PrometheusMetrics(channel, registry=registry),
    ):
        for topic in ("room:17", "lobby", "elsewhere"):
            channel.handle(Join("c", topic, "u", 1))
            channel.handle(Broadcast("c", topic, "x"))
        channel.handle(Send("nobody", "room:17", "e", "p"))
        channel.handle(Push("c", "room:17", "e", "p"))
        channel.membership_count  # noqa: B018 - behind the failure
        get, room = registry.get_sample_value, {"pattern": "room:*"}
        assert get("lightspeed_events_total", {"event": "join", **room}) == 1
        assert get("lightspeed_events_total", {"event": "join", "pattern": ""}) == 2
        assert get("lightspeed_handled_seconds_count", {"event": "broadcast", **room}) == 1
        assert get("lightspeed_replies_total", {"status": "ok", **room}) == 1
        assert get("lightspeed_replies_total", {"status": "error", **room}) == 1
        assert get("lightspeed_mailbox_length_count", room) == 4
        assert get("lightspeed_topic_crashes_total", room) == 1
        assert get("lightspeed_topic_restarts_total", room) == 1
        assert get("lightspeed_topic_dead_letters_total", {"why": "refused", **room}) == 1
        text = text_of(registry)
    for name in ("room:17", "lobby", "elsewhere"):
        assert name not in text


def test_without_a_registry_it_is_the_process_own_and_closed_it_is_out_of_it():
    with Channel(layers=(MetricsLayer(),)) as channel:
        with PrometheusMetrics(channel) as metrics:
            channel.handle(JOIN)
            assert REGISTRY.get_sample_value("lightspeed_accepted_total") == 1
            assert channel.meter.calls["handled"]
        metrics.close()
        assert REGISTRY.get_sample_value("lightspeed_accepted_total") is None
        assert not channel.meter.calls["handled"]


def test_a_second_one_of_the_same_names_is_refused_and_leaves_no_hooks_and_another_namespace_is_not(registry):
    with Channel() as first, Channel(layers=(MetricsLayer(),)) as second, PrometheusMetrics(first, registry=registry):
        with pytest.raises(ValueError, match="Duplicated"):
            PrometheusMetrics(second, registry=registry)
        assert not second.meter.calls["handled"]
        second.handle(JOIN)
        with PrometheusMetrics(second, registry=registry, namespace="games"):
            assert registry.get_sample_value("games_accepted_total") == 1
            assert registry.get_sample_value("lightspeed_accepted_total") == 0


def test_of_a_closed_channel_it_says_what_was_last_and_of_one_that_is_gone_nothing(registry):
    channel = Channel()
    metrics = PrometheusMetrics(channel, registry=registry)
    channel.handle(JOIN)
    channel.close()
    assert registry.get_sample_value("lightspeed_accepted_total") == 1
    gone = weakref.ref(channel)
    del channel
    gc.collect()
    assert gone() is None
    assert text_of(registry) == ""
    metrics.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's own since 3.12: a fork where there are threads
def test_in_a_forked_child_the_scrape_goes_on_without_it(registry):
    with Channel() as channel, PrometheusMetrics(channel, registry=registry):
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if text_of(registry) == "" else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_where_the_client_is_missing_it_says_how_to_install_it(monkeypatch):
    ordinary = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("prometheus_client"):
            raise ModuleNotFoundError("No module named 'prometheus_client'", name="prometheus_client")
        return ordinary(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    with Channel(layers=(MetricsLayer(),)) as channel:
        with pytest.raises(ImportError, match=r"pip install 'lightspeed-channels\[prometheus\]'"):
            PrometheusMetrics(channel)
        assert not channel.meter.calls["handled"]


def test_what_only_grows_is_a_counter_and_the_page_says_so():
    page = (Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    grows = set(re.findall(r"^\| `(\w+)` \| .* \| yes \|$", page, flags=re.MULTILINE))
    assert {family.name for family in families_of(None, "x") if family.type == "counter"} == {f"x_{name}" for name in grows}
