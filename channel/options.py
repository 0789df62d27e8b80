"""What a channel is made with, and what of it is refused by name."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Literal, TypedDict, TypeVar

import pykka
from msgspec import Struct

from lightspeed.actors.checks import YEAR_S
from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.process import WeakBag, in_forked_child
from lightspeed.actors.runtime import Layer, Runtime
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.capsules import Capsules
from lightspeed.cluster import Engine
from lightspeed.faults import FaultPlan
from lightspeed.supervision.topics import Mailbox, Restarts, Sink

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SingleNode(Struct, frozen=True):
    """Everybody is in this process."""

    @property
    def label(self) -> str:
        return "single_node"


class ClusterReady(Struct, frozen=True):
    """This node of a cluster. Without an engine it delivers within this process, and its identity is carried along."""

    node_id: str
    """Not empty; with an engine of 1 to 64 letters, digits, dots, underlines and hyphens, and no other living node's."""
    cluster: str
    """As `node_id`."""
    engine: Engine | None = None
    """What carries frames to the other nodes; for this channel alone."""
    lease_s: float = 6.0
    """How long a node that is not heard is not yet dead. From 0.1 to a year. Default 6 s."""
    beat_s: float = 2.0
    """How often each node says that it lives. Above 0, at most a third of `lease_s`. Default 2 s."""
    max_waiting_bytes: int = 16 * 1024 * 1024
    """So much waits while the link is down. Beyond, broadcasts are dropped, and told as lost. From 1 up. Default 16 MiB."""

    @property
    def label(self) -> str:
        return f"cluster_ready:{self.cluster}/{self.node_id}"


Adapter = SingleNode | ClusterReady


class AsyncChannelOptions(TypedDict, total=False):
    """The keyword arguments of `AsyncChannel`, for those who hand them on: editors and type checkers know them there too."""

    on_outbound: Sink | None
    timeout_s: float
    rejoin_window_s: float
    crash_timeout_s: float
    own_thread: Iterable[str]
    behaviours: Mapping[str, Callable[[], Behaviour]] | None
    event_timeout_s: float
    restarts: Restarts | None
    rejoin: Literal["client", "supervisor"]
    mailboxes: Mapping[str, Mailbox] | Mailbox | None
    max_topics: int | None
    max_members: int | None
    faults: FaultPlan | None
    capsules: Capsules | None
    layers: Sequence[Layer]
    runtime: Runtime | None


class ChannelOptions(AsyncChannelOptions, total=False):
    """Those of `Channel`."""

    outbox: bool | None
    max_outbox: int | None


_taken: WeakBag[Runtime | Engine] = WeakBag()
in_forked_child(_taken.renew_lock)

Taken = TypeVar("Taken", bound=Runtime | Engine)


def take(option: str, part: Taken) -> Taken:
    """What ends with its channel is that one's alone: a runtime, an engine."""
    if any(part is other for other in _taken):
        raise InvalidOption(option, part, "must be the channel's own: this one was another channel's")
    _taken.add(part)
    return part


def check_layers(layers: Sequence[Layer]) -> list[Layer]:
    if not isinstance(layers, (tuple, list)):
        raise InvalidOption("layers", layers, "must be several layers, as a tuple or a list")
    for layer in layers:
        if isinstance(layer, type) or not isinstance(layer, Layer):
            raise InvalidOption("layers", layer, "must be a layer: what has over(runtime)")
    return list(layers)


def check_shorthands(capsules: Capsules | None, faults: FaultPlan | None) -> list[Layer]:
    for option, layer, kind in (("capsules", capsules, Capsules), ("faults", faults, FaultPlan)):
        if not (layer is None or isinstance(layer, kind)):
            raise InvalidOption(option, layer, f"must be a {kind.__name__} or None")
    return [layer for layer in (capsules, faults) if layer is not None]


def check_sink(sink: Sink | None) -> None:
    if not (sink is None or callable(sink) or isinstance(sink, pykka.ActorRef)):
        raise InvalidOption("on_outbound", sink, "must be a callable, an ActorRef or None")
    for code in (sink, getattr(type(sink), "__call__", None)):  # noqa: B004 - what a call of the object runs
        if isgeneratorfunction(code) or isasyncgenfunction(code):
            raise InvalidOption("on_outbound", sink, "must be a function or an async def: nobody would run its generator")


def check_adapter(adapter: Adapter) -> Adapter:
    if isinstance(adapter, ClusterReady):
        for option, value in (("node_id", adapter.node_id), ("cluster", adapter.cluster)):
            if type(value) is not str or not value:
                raise InvalidOption(option, value, "must be a str that is not empty")
            if adapter.engine is not None and not _NAME.fullmatch(value):
                raise InvalidOption(option, value, "must be 1 to 64 of A-Z, a-z, 0-9, dot, underline and hyphen")
        if adapter.engine is not None:
            check_seconds("lease_s", adapter.lease_s)
            if check_seconds("beat_s", adapter.beat_s) > adapter.lease_s / 3:
                raise InvalidOption("beat_s", adapter.beat_s, "must be at most a third of lease_s")
            check_most("max_waiting_bytes", adapter.max_waiting_bytes)
    elif not isinstance(adapter, SingleNode):
        raise InvalidOption("adapter", adapter, "must be a SingleNode or a ClusterReady")
    return adapter


def check_several(option: str, values: Iterable[str]) -> Iterable[str]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):  # one name would be taken for its letters
        raise InvalidOption(option, values, "must be several names, as a tuple or a list")
    return values


def check_behaviours(behaviours: Mapping[str, Callable[[], Behaviour]]) -> Mapping[str, Callable[[], Behaviour]]:
    if not isinstance(behaviours, Mapping):
        raise InvalidOption("behaviours", behaviours, "must map patterns to Behaviour classes")
    for make in behaviours.values():
        if not callable(make):
            raise InvalidOption("behaviours", make, "must be a Behaviour class, or a function that makes one")
    return behaviours


def check_mailboxes(mailboxes: Mapping[str, Mailbox] | Mailbox | None) -> Mapping[str, Mailbox]:
    if mailboxes is None:
        return {}
    if isinstance(mailboxes, Mailbox):
        return {"*": mailboxes}
    if not isinstance(mailboxes, Mapping):
        raise InvalidOption("mailboxes", mailboxes, "must be a Mailbox, or map patterns to them")
    for mailbox in mailboxes.values():
        if not isinstance(mailbox, Mailbox):
            raise InvalidOption("mailboxes", mailbox, "must be a Mailbox")
    return mailboxes


def check_most(option: str, value: int | None) -> int | None:
    if not (value is None or (type(value) is int and value >= 1)):
        raise InvalidOption(option, value, "must be an int from 1 up, or None")
    return value


def check_restarts(restarts: Restarts | None) -> Restarts:
    if restarts is None:
        return Restarts()
    if not isinstance(restarts, Restarts):
        raise InvalidOption("restarts", restarts, "must be a Restarts or None")
    return restarts


def check_rejoin(rejoin: Literal["client", "supervisor"]) -> Literal["client", "supervisor"]:
    if rejoin not in ("client", "supervisor"):
        raise InvalidOption("rejoin", rejoin, "must be client or supervisor")
    return rejoin


def check_seconds(option: str, value: float) -> float:
    # Not `check_seconds`: here numbers of other kinds, such as numpy's, are taken too. nan compares to nothing.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= YEAR_S:
        raise InvalidOption(option, value, "must be a number of seconds above 0 and at most a year")
    return value
