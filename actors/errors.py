"""Every error that this project raises of its own.

LightspeedError
├── InvalidEvent      the caller's: what was handed in is no valid event
├── InvalidOption     the caller's: an option of a value that it can't have
├── InsideActor       the caller's: a wait from where it could wait for itself
├── ChannelClosed     the caller's: a call after `close`
├── PoolClosed        the caller's: an actor whose pool was closed, or stayed behind in a fork's parent
├── AskRing           the caller's: actors that would wait for one another in a ring
├── InvalidTrace      the peer's: a line of a trace that is no valid event
├── ChannelTimeout    the world's: an answer that did not come in time
└── TopicCrash        nobody's fault: what `Crash` raises inside each topic actor
"""

import reprlib


class LightspeedError(Exception):
    """Above every error of this project."""


class InvalidEvent(LightspeedError, ValueError):
    """What was handed in is not an event, or a field of it breaks a rule. Nothing was changed."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        self.field, self.value, self.rule = field, value, rule
        super().__init__(f"{field} {rule}, got {reprlib.repr(value)}")


class InvalidOption(LightspeedError, ValueError):
    """An option was given a value that it can't have."""

    def __init__(self, option: str, value: object, rule: str) -> None:
        self.option, self.value, self.rule = option, value, rule
        super().__init__(f"{option} {rule}, got {reprlib.repr(value)}")


class InsideActor(LightspeedError, RuntimeError):
    """A call that waits was made inside an actor or a sink, where it could wait for itself."""

    def __init__(self, call: str, actor: object) -> None:
        self.call, self.actor = call, actor
        super().__init__(f"{call} waits, and was called inside {actor}, where it could wait for itself: use tell")


class ChannelClosed(LightspeedError, RuntimeError):
    """The channel was closed, by `close` or by Pykka's `ActorRegistry.stop_all()`."""

    def __init__(self) -> None:
        super().__init__("the channel is closed")


class PoolClosed(LightspeedError, RuntimeError):
    """The actor's pool was closed, or belongs to the process that this one was forked from."""

    def __init__(self) -> None:
        super().__init__("the actor's pool is closed, or was left behind by a fork")


class AskRing(LightspeedError, RuntimeError):
    """An ask whose answer would wait for its own caller. `ring` names the actors, the first one twice."""

    def __init__(self, ring: list[str]) -> None:
        self.ring = ring
        super().__init__(f"a ring of asks, in which each waits for the next: {' -> '.join(ring)}")


class InvalidTrace(LightspeedError, ValueError):
    """A trace can't be read any further. `line` counts from 1."""

    def __init__(self, source: str, line: int, reason: str) -> None:
        self.source, self.line, self.reason = source, line, reason
        super().__init__(f"{source}:{line}: {reason}")


class ChannelTimeout(LightspeedError, TimeoutError):
    """No answer came within the timeout. What was accepted may still take effect."""

    def __init__(self, what: str, timeout_s: float) -> None:
        self.what, self.timeout_s = what, timeout_s
        super().__init__(f"{what} did not end within {timeout_s:g} s")


class TopicCrash(LightspeedError):
    """Raised inside a topic actor by `Crash`, so that it dies as by any failure of its own."""

    def __init__(self, topic: str, reason: str) -> None:
        self.topic, self.reason = topic, reason
        super().__init__(f"{topic} was crashed: {reason}")
