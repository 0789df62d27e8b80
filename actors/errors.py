"""Every error that this project raises of its own.

LightspeedError
├── InvalidEvent      the caller's: what was handed in is no valid event
├── InvalidOption     the caller's: an option of a value that it can't have
├── InsideActor       the caller's: a wait from where it could wait for itself
├── WrongLoop         the caller's: a call from another event loop or thread than the one that it is bound to
├── ChannelClosed     the caller's: a call after `close`
├── OutboxOff         the caller's: a flush of a channel that keeps nothing
├── ClientExists      the caller's: a second living client of one id
├── ClientClosed      the caller's: a call of a client that is closed
├── Refused           the caller's: a client's event that was answered by an error
├── PoolClosed        the caller's: an actor whose pool was closed
│   ├── InForkedChild the caller's: what belongs to the process that this one was forked from
│   └── LoopClosed    the caller's: a task, or a supervisor, whose event loop is closed
├── AskRing           the caller's: actors that would wait for one another in a ring
├── NotSupervisable   the caller's: an actor class of whose end nobody can learn
├── ChildError        the caller's: what was asked of a supervisor does not go with its child
│   ├── ChildNotFound
│   ├── ChildAlreadyStarted
│   ├── ChildAlreadyPresent
│   ├── ChildRunning
│   ├── ChildRestarting
│   └── ChildStopped
├── SupervisorStopped the caller's: a call to a supervisor that is stopping or gone
├── AlreadyUp         the caller's: a task that says too late that it is starting yet
├── RoomMisused       the caller's: a behaviour did what a topic's behaviour can't do
├── FaultsNotFired    the caller's: a plan with faults that never came about
├── InvalidTrace      the peer's: a line of a trace that is no valid event
├── InvalidCapsule    the peer's: a file that is no whole crash capsule, or of another version
├── CapsuleRefused    the peer's: a capsule that nobody vouches for, and that is not run
├── BadFrame          the peer's: what came from another node is no frame, or of another version
├── NodeNameTaken     the caller's: a second living node of one name in a cluster
├── Overloaded        the world's: more waits for a channel than it takes
├── InboxEmpty        the world's: nothing came for a client in time
├── ChannelTimeout    the world's: an answer that did not come in time
├── SupervisorTimeout the world's: a supervisor's answer that did not come in time
├── StartTimeout      the world's: an actor whose on_start did not return in time
├── StartFailed       the world's: a child that could not be started
├── RestartsExceeded  the world's: children that end more often than their supervisor may restart them
├── TopicStuck        the world's: a behaviour that did not return in time
├── SimulationMisused the caller's: what a simulation can't do
├── SimulationStuck   the world's: a simulation in which nothing can go on, or nothing comes to rest
├── InvariantBroken   the world's: something was not as it must be in a simulation
├── ExpectationFailed the world's: a channel's client was not told what a test asserts, or was told what it refutes
├── TokenUsed         the world's: in a replay, what stands for something that could not go into the capsule
├── InjectedFault     nobody's fault: what a fault plan raises
├── TopicCrash        nobody's fault: what `Crash` raises inside each topic actor
├── Shutdown          nobody's fault: raised by an actor's own code, which is done
└── Ignore            nobody's fault: raised in on_start by an actor that is not needed

Why an actor ended, as a value and in words. Source: the exit reasons of OTP, with `normal`, `shutdown` and any other.
"""

from typing import Literal

from msgspec import Struct

from lightspeed.actors.text import class_name, escaped, named, said, shown


class LightspeedError(Exception):
    """Above every error of this project."""


class InvalidEvent(LightspeedError, ValueError):
    """What was handed in is not an event, or a field of it breaks a rule. Nothing was changed."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        self.field, self.value, self.rule = field, value, rule
        super().__init__(f"{escaped(field)} {escaped(rule, None)}, got {shown(value)}")


class InvalidOption(LightspeedError, ValueError):
    """An option was given a value that it can't have."""

    def __init__(self, option: str, value: object, rule: str) -> None:
        self.option, self.value, self.rule = option, value, rule
        super().__init__(f"{escaped(option)} {escaped(rule, None)}, got {shown(value)}")


class InsideActor(LightspeedError, RuntimeError):
    """A call that waits was made inside an actor or a sink, where it could wait for itself."""

    def __init__(self, call: str, actor: object, instead: str = "use tell") -> None:
        self.call, self.actor = call, actor
        inside = actor if type(actor) is str else named(actor)
        super().__init__(f"{call} waits, and was called inside {inside}, where it could wait for itself: {instead}")


class WrongLoop(LightspeedError, RuntimeError):
    """A call from elsewhere than the event loop to which the callee has been bound since its first use."""

    def __init__(self, what: str, where: str, instead: str = "there is tell_threadsafe") -> None:
        hint = f": {instead}" if instead else ""
        super().__init__(f"{what} belongs to the event loop of its first use, and was called {where}{hint}")


class ChannelClosed(LightspeedError, RuntimeError):
    """The channel was closed, by `close` or by Pykka's `ActorRegistry.stop_all()`."""

    def __init__(self) -> None:
        super().__init__("the channel is closed")


class OutboxOff(LightspeedError, RuntimeError):
    """A flush of a channel that keeps nothing for it."""

    def __init__(self) -> None:
        super().__init__(
            "the outbox keeps nothing: what comes out goes to the channel's clients. Channel(outbox=True) keeps it too"
        )


class ClientExists(LightspeedError, ValueError):
    """A channel has a living client of this id."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        super().__init__(f"there is a living client {escaped(client_id)}: close it, or give take_over=True")


class ClientClosed(LightspeedError, RuntimeError):
    """A client is closed. `why` says by what."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the client is closed: {why}")


class Refused(LightspeedError, RuntimeError):
    """A client's event was answered by an error: `status` and `payload` are the reply's."""

    def __init__(self, status: str, payload: str) -> None:
        self.status, self.payload = status, payload
        super().__init__(f"{escaped(status)}: {escaped(payload)}")


class BadFrame(LightspeedError):
    """What came from another node of a cluster is no frame of this version. It is counted, and nothing else comes of it."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"not a frame of the cluster: {escaped(why, None)}")


class NodeNameTaken(LightspeedError):
    """A living node of the cluster has the name."""

    def __init__(self, name: str, cluster: str) -> None:
        self.name, self.cluster = name, cluster
        super().__init__(f"node {name} of cluster {cluster} is alive already: each node needs a name of its own")


class Overloaded(LightspeedError, RuntimeError):
    """More events wait for the channel's supervisor than it takes from whoever does not wait. Nothing was accepted."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting:,} events wait for the channel: use handle, which waits, or tell it later")


class InboxEmpty(LightspeedError, LookupError, TimeoutError):
    """Nothing came for a client in time."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(f"nothing came within {timeout_s:g} s")


class PoolClosed(LightspeedError, RuntimeError):
    """The actor's pool was closed."""

    def __init__(self) -> None:
        super().__init__("the actor's pool is closed")


class InForkedChild(PoolClosed):
    """A channel, pool or supervisor was called in a process that was forked from its own: its threads are in the parent.

    Make another one in the child. `spawn` in place of `fork` has no such thing.
    """

    def __init__(self) -> None:
        RuntimeError.__init__(self, "it belongs to the process that this one was forked from: make another one in the child")


class LoopClosed(PoolClosed):
    """A task was to begin, or was told something, or the supervisor on its loop was, and the event loop is closed."""

    def __init__(self) -> None:
        RuntimeError.__init__(self, "the event loop is closed")


class AskRing(LightspeedError, RuntimeError):
    """An ask whose answer would wait for its own caller. `ring` names the actors, the first one twice."""

    def __init__(self, ring: list[str]) -> None:
        self.ring = ring
        super().__init__(f"a ring of asks, in which each waits for the next: {' -> '.join(ring)}")


class RoomMisused(LightspeedError, RuntimeError):
    """A behaviour asked for what can't be, or returned what means nothing. It fails the topic, as all that a behaviour raises."""


class InvalidTrace(LightspeedError, ValueError):
    """A trace can't be read any further. `line` counts from 1."""

    def __init__(self, source: str, line: int, reason: str) -> None:
        self.source, self.line, self.reason = source, line, reason
        super().__init__(f"{escaped(source, None)}:{line}: {escaped(reason, None)}")


class InvalidCapsule(LightspeedError, ValueError):
    """A file is no crash capsule, or not a whole one, or can't be read by this version."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{escaped(source, None)}: {escaped(reason, None)}")


class CapsuleRefused(LightspeedError):
    """A capsule is not replayed, since nobody vouches for the code in it."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{escaped(source, None)}: {escaped(reason, None)}")


class ExpectationFailed(LightspeedError, AssertionError):
    """A client's inbox, or the presence that it sees, is not as a test says: the text says what was wanted and what is there."""


class TokenUsed(LightspeedError, RuntimeError):
    """A replay came to something that could not go into the capsule, or was not to: a token stands for it."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"the replay used what is not in the capsule: {what}")


class ChannelTimeout(LightspeedError, TimeoutError):
    """No answer came within the timeout. What was accepted may still take effect."""

    def __init__(self, what: str, timeout_s: float) -> None:
        self.what, self.timeout_s = what, timeout_s
        super().__init__(f"{what} did not end within {timeout_s:g} s")


class TopicStuck(LightspeedError, TimeoutError):
    """A behaviour did not come back from an event in time, and its actor was given up."""

    def __init__(self, topic: str, timeout_s: float) -> None:
        self.topic, self.timeout_s = topic, timeout_s
        super().__init__(f"{escaped(topic)} did not come back from an event within {timeout_s:g} s")


class SimulationMisused(LightspeedError, RuntimeError):
    """A simulation was asked for something that it can't do."""


class SimulationStuck(LightspeedError, RuntimeError):
    """In a simulation nothing can go on, or nothing comes to rest."""


class InvariantBroken(LightspeedError, AssertionError):
    """Something was not as it must be in a simulation."""

    def __init__(self, invariant: str, text: str) -> None:
        self.invariant = invariant
        """The name of what must be so."""
        self.text = text
        super().__init__(f"{invariant}: {text}")


class TopicCrash(LightspeedError):
    """Raised inside a topic actor by `Crash`, so that it dies as by any failure of its own."""

    def __init__(self, topic: str, reason: str) -> None:
        self.topic, self.reason = topic, reason
        super().__init__(f"{escaped(topic)} was crashed: {escaped(reason, None)}")


class InjectedFault(LightspeedError):
    """Raised in an actor by a fault plan."""


class FaultsNotFired(LightspeedError, AssertionError):
    """A fault plan has run, and these of its faults never fired: their places in the plan, and what they are."""

    def __init__(self, faults: dict[int, object]) -> None:
        self.faults = faults
        super().__init__("never fired: " + ", ".join(f"{index} {shown(fault)}" for index, fault in faults.items()))


class NotSupervisable(LightspeedError, TypeError):
    """An actor whose end can't be learnt: neither a `PooledActor` nor a `Supervisable`, the latter before Pykka's class."""

    def __init__(self, kind: object) -> None:
        self.kind = kind
        name = class_name(kind) if isinstance(kind, type) else shown(kind)
        super().__init__(
            f"{name} can't be watched or supervised: be a PooledActor, or class X(Supervisable, pykka.ThreadingActor)"
        )


class ChildError(LightspeedError, ValueError):
    """Above what a supervisor refuses to do with a child, in OTP's words. Nothing was changed."""

    text = "child {} is not fit for this"

    def __init__(self, child_id: object) -> None:
        self.child_id = child_id
        super().__init__(self.text.format(shown(child_id)))


class ChildNotFound(ChildError):
    """No child of that id."""

    text = "no child {}"


class ChildAlreadyStarted(ChildError):
    """A child of that id runs. `ref` is its actor."""

    text = "child {} was started already"

    def __init__(self, child_id: object, ref: object) -> None:
        self.ref = ref
        super().__init__(child_id)


class ChildAlreadyPresent(ChildError):
    """A child of that id is there without an actor: restart it, or delete it first."""

    text = "child {} is present already, and does not run"


class ChildRunning(ChildError):
    """The child must be terminated first."""

    text = "child {} runs"


class ChildRestarting(ChildError):
    """The child is between two tries of a restart; `terminate_child` ends them."""

    text = "child {} is about to be restarted"


class ChildStopped(ChildError):
    """The child has no actor, and nothing is under way that would start one; `restart_child` does."""

    text = "child {} is stopped, and is not about to be started"


class SupervisorStopped(LightspeedError, RuntimeError):
    """The supervisor is stopping its children, or is gone."""

    def __init__(self) -> None:
        super().__init__("the supervisor is stopping or has stopped")


class SupervisorTimeout(LightspeedError, TimeoutError):
    """The supervisor did not answer within the timeout. What was asked may still take effect."""

    def __init__(self, what: str, timeout_s: float) -> None:
        self.what, self.timeout_s = what, timeout_s
        super().__init__(f"{what} was not answered within {timeout_s:g} s")


class AlreadyUp(LightspeedError, RuntimeError):
    """A supervised task entered `starting()` behind its first await, and so is up."""

    def __init__(self) -> None:
        super().__init__("the task is up already: enter starting() before its first await")


class StartTimeout(LightspeedError, TimeoutError):
    """An actor's on_start did not return in time, and it was abandoned."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(f"on_start did not return within {timeout_s:g} s")


class StartFailed(LightspeedError):
    """A child could not be started: `error` is what its start raised, its `__cause__` too."""

    def __init__(self, child_id: object, error: BaseException) -> None:
        self.child_id, self.error = child_id, error
        self.__cause__ = error
        super().__init__(child_id, error)

    def __str__(self) -> str:
        return f"child {shown(self.child_id)} could not be started: {said(self.error)}"


class RestartsExceeded(LightspeedError):
    """A supervisor ended, since its children ended too often. `error` is the last one's, None where it raised nothing."""

    def __init__(self, child_id: object, intensity: int, period_s: float, error: BaseException | None) -> None:
        self.child_id, self.intensity, self.period_s, self.error = child_id, intensity, period_s, error
        self.__cause__ = error
        super().__init__(f"more than {intensity} restarts in {period_s:g} s, the last one wanted by child {shown(child_id)}")


class Shutdown(LightspeedError):
    """Raise it in an actor to end that actor in good order: on_stop runs, and a `transient` child is not restarted."""

    def __init__(self, why: object = "") -> None:
        self.why = why
        super().__init__(why)

    def __str__(self) -> str:
        why = self.why if type(self.why) is str else shown(self.why)
        return f"shutdown: {why}" if why else "shutdown"


class Ignore(LightspeedError):
    """Raise it in on_start of an actor that is not needed: a supervisor goes on without it, and finds no fault."""


class ExitReason(Struct, frozen=True):
    """The reason for which an actor ended."""

    kind: Literal["normal", "shutdown", "abnormal"]
    """`normal`: it was stopped, or ignored its start. `shutdown`: it raised `Shutdown`. `abnormal`: it raised anything else."""
    error: BaseException | None = None
    """The error is what the actor raised; None where it was stopped."""

    @property
    def is_ignored(self) -> bool:
        """Whether the actor raised `Ignore` in on_start."""
        return self.kind == "normal" and self.error is not None

    def __str__(self) -> str:
        return self.kind if self.error is None else f"{self.kind}: {said(self.error)}"


NORMAL = ExitReason("normal")
"""The reason of an actor that was stopped, by itself or from outside."""


def reason_of(error: BaseException | None, *, in_start: bool = False) -> ExitReason:
    """The reason of an actor that ended of this error, None for a stop. `in_start`: it was raised by on_start."""
    if error is None:
        return NORMAL
    if issubclass(type(error), Shutdown):
        return ExitReason("shutdown", error)
    return ExitReason("normal" if in_start and issubclass(type(error), Ignore) else "abnormal", error)
