"""Strategies of Hypothesis: events, plans of faults, scenarios. They shrink to few, early and plain ones."""

from collections.abc import Sequence
from typing import Any

try:
    from hypothesis import stateful
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError('strategies need Hypothesis: pip install "lightspeed-channels[testing]"') from error

from lightspeed.channel import Broadcast, Crash, Disconnect, Event, FaultPlan, Join, Leave, Publish, Push, Rejoin, Restart, Send
from lightspeed.faults import FailSupervisor, Fault, Jump
from lightspeed.faults.fault import KINDS
from lightspeed.testing.scenario import Scenario, Sending

__all__ = ["Events", "events", "faults", "operator_events", "plans", "scenarios", "st", "stateful", "topic_events"]

_CLIENTS, _TOPICS, _USERS = ("a", "b", "c"), ("x", "y", "z"), ("u", "v")

Events = st.SearchStrategy[Event]


def topic_events(
    clients: Sequence[str] = _CLIENTS,
    topics: Sequence[str] = _TOPICS,
    users: Sequence[str] = _USERS,
    *,
    most_ms: int = 5,
    longest: int = 3,
) -> Events:
    """A join, rejoin, leave, broadcast or push of these clients, or a publish or send to them, in these topics.

    Args:
        most_ms: the latest time in events, from 0. Few times make for many that are equal. Default 5.
        longest: so many letters may a payload have, of whatever letters UTF-8 has. Default 3.
    """
    client, topic, user = st.sampled_from(clients), st.sampled_from(topics), st.sampled_from(users)
    time_ms, text = st.integers(0, most_ms), st.text(max_size=longest)
    return st.one_of(
        st.builds(Join, client, topic, user, time_ms, text),
        st.builds(Rejoin, client, topic, user, time_ms, st.none() | text),
        st.builds(Leave, client, topic, st.none() | time_ms),
        st.builds(Broadcast, client, topic, text, text),
        st.builds(Push, client, topic, text, text),
        st.builds(Publish, topic, text, text),
        st.builds(Send, client, topic, text, text),
    )


def operator_events(topics: Sequence[str] = _TOPICS, *, longest: int = 3) -> Events:
    """A crash or a restart, of one of these topics or of the channel."""
    topic, reason = st.none() | st.sampled_from(topics), st.text(max_size=longest)
    return st.one_of(st.builds(Crash, reason, topic), st.builds(Restart, topic))


def events(
    clients: Sequence[str] = _CLIENTS, topics: Sequence[str] = _TOPICS, users: Sequence[str] = _USERS, **options: Any
) -> Events:
    """Any event; half of them are of one topic. Options as of `topic_events`."""
    of_clients = topic_events(clients, topics, users, **options)
    leaving_all = st.builds(Disconnect, st.sampled_from(clients), st.none() | st.integers(0, options.get("most_ms", 5)))
    return st.one_of(of_clients, of_clients, operator_events(topics), leaving_all)


def faults(topics: Sequence[str] = _TOPICS) -> st.SearchStrategy[Fault]:
    """One fault, of any kind but the supervisor's own failure, which ends its channel."""
    triggers: dict[str, Any] = {
        "topic": st.sampled_from(("*", *topics)),
        "at": st.none() | st.integers(1, 8),
        "probability": st.none() | st.sampled_from((0.1, 0.5)),
        "times": st.integers(1, 3),
    }
    seconds = {"seconds": st.sampled_from((0.1, 1.0, 7.0))}
    more: dict[str, dict[str, Any]] = {
        "raise": {"hook": st.sampled_from(("before", "after", "on_start", "on_stop", "on_failure"))},
        **dict.fromkeys(("slow", "delay", "delay_reply"), seconds),
        "poison": {"payload": st.text(max_size=3)},
        "reorder": {"window": st.integers(1, 3)},
    }
    jump = st.builds(Jump, by_s=st.sampled_from((-5.0, 3.0, 100.0)), at_s=st.sampled_from((0.0, 1.0, 10.0)))
    others = (pair for pair in KINDS.items() if pair[1] not in (Jump, FailSupervisor))
    return st.one_of(*(st.builds(kind, **more.get(name, {}), **triggers) for name, kind in others), jump)


def plans(topics: Sequence[str] = _TOPICS, *, most_faults: int = 3) -> st.SearchStrategy[FaultPlan]:
    """A plan of at most so many faults."""
    return st.builds(FaultPlan, st.lists(faults(topics), max_size=most_faults).map(tuple), st.integers(0, 2**32))


def scenarios(
    clients: Sequence[str] = _CLIENTS,
    topics: Sequence[str] = _TOPICS,
    users: Sequence[str] = _USERS,
    *,
    most_events: int = 20,
    most_faults: int = 3,
) -> st.SearchStrategy[Scenario]:
    """At most so many events, at moments within 20 s, and at most so many faults."""
    moment = st.sampled_from((0.0, 0.0, 0.5, 5.0, 20.0))
    sendings = st.lists(st.builds(Sending, events(clients, topics, users), moment), max_size=most_events)
    in_order = sendings.map(lambda sent: tuple(sorted(sent, key=lambda sending: sending.at_s)))
    return st.builds(Scenario, in_order, plans(topics, most_faults=most_faults))
