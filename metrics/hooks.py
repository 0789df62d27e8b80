"""Hooks that are told of each thing that happens in a channel, and the layer by which they come in."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from lightspeed.actors.checks import puts_off
from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Runtime
from lightspeed.actors.topics.rules.events import Event, Patterns, TopicEvent
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.supervision.topics.dead_letters import DeadLetter


class MetricsHooks:
    """What a program wants to know of a channel as it happens: override what you need; the rest costs nothing.

    Each hook is called on the thread on which the thing happens: a worker, the supervisor's, a topic's own, or whoever closes
    the channel; several may be called at once. The channel waits for it: it must be quick, and must not block. It may `tell`
    the channel something and read `metrics()`; what waits raises `InsideActor`. The first time that one raises is logged, and
    nobody else learns of it.
    """

    def accepted(self, event: Event) -> None:
        """The supervisor has got to the event, and numbers it now."""

    def handled(self, event: TopicEvent, seconds: float) -> None:
        """A topic has handled the event, and gives out what came of it next: after this many seconds, its behaviour's included.

        A `Disconnect` is handled as a `Leave` of each topic. What is refused before its topic, or fails it, is not handled.
        """

    def answered(self, reply: Reply) -> None:
        """A reply is given out: by its topic, or by the supervisor, as are most refusals."""

    def mailbox(self, topic: str, length: int) -> None:
        """An event is about to be sent to the topic, for which so many things wait already; what it is at work on counts."""

    def crashed(self, topic: str | None, reason: str) -> None:
        """A topic has failed, or crashes by order; None: the whole channel does. It may come up again at once."""

    def restarted(self, topic: str | None) -> None:
        """A topic comes up again; None: the channel does, and each topic that comes with it follows."""

    def given_up(self, topic: str) -> None:
        """A topic has failed too often: it stays down."""

    def abandoned(self, topic: str) -> None:
        """The actor of a topic did not come back in time: it is given up, and the topic goes on without it."""

    def dead_letter(self, letter: DeadLetter) -> None:
        """Something reaches nobody."""

    def overloaded(self, topic: str) -> None:
        """The topic's mailbox has no room: it begins to shed events."""

    def recovered(self, topic: str) -> None:
        """The topic has caught up."""


HOOKS = tuple(name for name in vars(MetricsHooks) if not name.startswith("_"))


def check_hooks(hooks: MetricsHooks) -> MetricsHooks:
    if not isinstance(hooks, MetricsHooks):
        raise InvalidOption("hooks", hooks, "must be MetricsHooks")
    for name in HOOKS:
        if puts_off(getattr(hooks, name)):
            raise InvalidOption("hooks", hooks, f"must have plain functions: nobody would run what {name} returns")
    return hooks


class _Hook:
    """One hook of one object."""

    __slots__ = ("_call", "_has_failed", "_name")

    def __init__(self, name: str, call: Callable[..., object]) -> None:
        self._name, self._call, self._has_failed = name, call, False

    def __call__(self, *args: Any) -> None:
        try:
            self._call(*args)
        # User code, on an actor's thread. A BaseException would have Pykka stop every actor of the process.
        except BaseException as error:
            if not self._has_failed:
                self._has_failed = True
                log("error", "the metrics hook {} failed; if it does so again, that is not logged", self._name, error=error)


class Meter:
    """The hooks of one channel. Any thread may add some and take them out; those under way are not waited for."""

    def __init__(self, *hooks: MetricsHooks) -> None:
        self._lock = threading.RLock()
        self._all: dict[MetricsHooks, Mapping[str, _Hook]] = {}
        self._patterns: Patterns[Any] = Patterns("behaviours", {})
        self.calls: Mapping[str, tuple[_Hook, ...]] = dict.fromkeys(HOOKS, ())
        """By name, of those objects that have overridden it. Replaced as a whole."""
        for one in hooks:
            self.add(one)

    def add(self, hooks: MetricsHooks) -> None:
        """From here on it is told. Again is harmless.

        Raises:
            InvalidOption: it is no `MetricsHooks`, or has hooks that are `async` or generators.
        """
        check_hooks(hooks)
        own = {name for name in HOOKS if getattr(type(hooks), name) is not getattr(MetricsHooks, name) or name in _vars(hooks)}
        with self._lock:
            if hooks not in self._all:
                self._all[hooks] = {name: _Hook(name, getattr(hooks, name)) for name in own}
                self._renew()

    def remove(self, hooks: MetricsHooks) -> None:
        """From here on it is told nothing. Again is harmless."""
        with self._lock:
            if self._all.pop(hooks, None) is not None:
                self._renew()

    def pattern_of(self, topic: str | None) -> str:
        """The pattern of `behaviours`, as `room:*`, that the topic has its behaviour by: what can stand as a label.

        Empty where none fits, and where it is an exact name: a topic's name is no label, since there may be any number of them.
        """
        return "" if topic is None else self._patterns.prefix_of(topic) or ""

    def measure(self, patterns: Patterns[Any]) -> None:
        """The channel's behaviours, known when its supervisor is about to start."""
        self._patterns = patterns

    def tell(self, name: str, *args: Any) -> None:
        """Call the hook of that name of each object. Never raises."""
        for call in self.calls[name]:
            call(*args)

    def _renew(self) -> None:
        self.calls = {name: tuple(hooks[name] for hooks in self._all.values() if name in hooks) for name in HOOKS}


def _vars(hooks: MetricsHooks) -> Mapping[str, Any]:
    return getattr(hooks, "__dict__", {})


class MetricsLayer:
    """Hooks for a channel: `Channel(layers=(MetricsLayer(hooks),))`. Without it nothing of them is in the channel, or costs.

    With it no event is handled in the thread that tells it. It serves any number of channels; each has a `Meter` of its own,
    `channel.meter`, to which more hooks can be added. Without any it only makes room for them, as for `PrometheusMetrics`.

    Raises:
        InvalidOption: as of `Meter.add`.
    """

    def __init__(self, *hooks: MetricsHooks) -> None:
        self._hooks = tuple(check_hooks(one) for one in hooks)

    def over(self, runtime: Runtime) -> Runtime:
        """A layer: a runtime over this one, by which the channel tells the hooks."""
        from lightspeed.metrics.metered import over

        return over(runtime, self._hooks)
