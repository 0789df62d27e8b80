"""What a supervisor is told of a child before it starts it, and how it treats its children: see `Supervisor` for the options."""

from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import pykka
from msgspec import Struct
from msgspec.structs import force_setattr

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.checks import are_seconds, check_one_of, check_seconds
from lightspeed.actors.errors import InvalidOption, NotSupervisable
from lightspeed.actors.text import shown
from lightspeed.actors.threaded import Supervisable
from lightspeed.supervision.rules import AUTO_SHUTDOWNS, KINDS, STRATEGIES, AutoShutdown, Backoff, Kind, RestartWindow, Strategy

TaskFunction = Callable[..., Coroutine[Any, Any, object]]
ActorStart = tuple[type[pykka.Actor] | TaskFunction, Sequence[Any], Mapping[str, Any]]
ShutdownS = float | Literal["brutal_kill", "infinity"]

_WORKER_SHUTDOWN_S = 5.0  # OTP's default


class _Named(Struct, frozen=True):
    id: Hashable
    """Its name under its supervisor: anything hashable but None."""
    start: type[pykka.Actor] | ActorStart | Callable[[], pykka.ActorRef[Any] | Coroutine[Any, Any, object]]
    """A class of actors; an async function, whose coroutine is run as a task; either of them as `(class, args, kwargs)`; or a
    callable that starts an actor and returns its reference."""


class ChildSpec(_Named, frozen=True, kw_only=True):
    """How a child is started, restarted and stopped: a value that serves every incarnation of it.

    Raises:
        InvalidOption: an option has a value that it can't have.
        NotSupervisable: it is a class, and neither a `PooledActor` nor a `Supervisable`.
    """

    kind: Kind = "permanent"
    """`permanent`: always restarted. `transient`: after an abnormal end. `temporary`: never, and forgotten at its end."""
    shutdown_s: ShutdownS | None = None
    """How long it may take to stop, or, being a task, to end once it is cancelled; then it is abandoned. `infinity`: as long
    as it likes. `brutal_kill`: it is told to stop and abandoned at once. None, the default: 5 s, and `infinity` for a Supervisor,
    which has deadlines of its own."""
    significant: bool = False
    """Whether its end may be its supervisor's, by `auto_shutdown`. Not for a permanent child, which never ends for good."""

    def __post_init__(self) -> None:
        try:
            hash(self.id)
        except Exception:  # the program's code, or a kind of object that has no hash
            raise InvalidOption("id", self.id, "must be hashable") from None
        if self.id is None:
            raise InvalidOption("id", None, "must be a name of some kind")
        if isinstance(self.start, type):
            force_setattr(self, "start", (self.start, (), {}))
        self._check_start()
        check_one_of("kind", self.kind, KINDS)
        if not _is_shutdown(self.shutdown_s):
            raise InvalidOption("shutdown_s", self.shutdown_s, "must be from 0 to a year, 'infinity', 'brutal_kill' or None")
        if type(self.significant) is not bool:
            raise InvalidOption("significant", self.significant, "must be True or False")
        if self.significant and self.kind == "permanent":
            raise InvalidOption("significant", self.significant, "must be False for a permanent child")

    @property
    def is_supervisor(self) -> bool:
        """Whether it is known to be a Supervisor, as it is where `start` names the class."""
        return isinstance(self.start, tuple) and hasattr(self.start[0], "_supervised_start")

    @property
    def stop_within_s(self) -> float | None:
        """How long its supervisor waits for its stop; None is for ever."""
        if self.shutdown_s is None:
            return None if self.is_supervisor else _WORKER_SHUTDOWN_S
        if self.shutdown_s == "infinity":
            return None
        return 0.0 if self.shutdown_s == "brutal_kill" else float(self.shutdown_s)

    def begin(self) -> Any:
        """Start an actor, and return what should be its reference, or make what should be a task's coroutine.

        Runs code of the user's, which may raise anything.
        """
        if not isinstance(self.start, tuple):
            return self.start()
        kind: Any
        kind, args, kwargs = self.start
        start = kind.start if issubclass(type(kind), type) else kind
        return getattr(kind, "_supervised_start", start)(*args, **kwargs)

    def _check_start(self) -> None:
        start: Any = self.start
        if callable(start):
            return  # what it returns shows when it is called
        if not (isinstance(start, tuple) and len(start) == 3 and callable(start[0])):
            rule = "must be a class of actors or an async function, one of them as (class, args, kwargs), or a callable"
            raise InvalidOption("start", start, rule)
        if isinstance(start[0], type) and not issubclass(start[0], (PooledActor, Supervisable)):
            raise NotSupervisable(start[0])


def _is_shutdown(value: object) -> bool:
    return value is None or are_seconds(value) or (type(value) is str and value in ("infinity", "brutal_kill"))


class SupervisorArgs(TypedDict, total=False):
    """The options of a Supervisor that are checked here."""

    strategy: Strategy
    intensity: int
    period_s: float
    auto_shutdown: AutoShutdown
    backoff: Backoff | None
    start_timeout_s: float


class SupervisorOptions(Struct, frozen=True, kw_only=True):
    """The options, checked once.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    backoff: Backoff | None = None
    start_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        self.window()
        check_one_of("strategy", self.strategy, STRATEGIES)
        check_one_of("auto_shutdown", self.auto_shutdown, AUTO_SHUTDOWNS)
        if not (self.backoff is None or issubclass(type(self.backoff), Backoff)):
            raise InvalidOption("backoff", self.backoff, "must be a Backoff or None")
        check_seconds("start_timeout_s", self.start_timeout_s)

    def window(self) -> RestartWindow:
        """A fresh window."""
        return RestartWindow(self.intensity, self.period_s)

    def check_child(self, spec: Any) -> ChildSpec:
        """Whether a supervisor with these options can have such a child."""
        if not issubclass(type(spec), ChildSpec):
            raise InvalidOption("children", spec, "must be a ChildSpec each")
        if spec.significant and self.auto_shutdown == "never":
            raise InvalidOption("significant", True, f"of child {shown(spec.id)} must be False where auto_shutdown is never")
        checked: ChildSpec = spec
        return checked

    def check_children(self, children: Iterable[Any]) -> list[ChildSpec]:
        """As `check_child`, and whether each has an id of its own."""
        specs = [self.check_child(spec) for spec in children]
        if len({spec.id for spec in specs}) < len(specs):
            raise InvalidOption("children", [spec.id for spec in specs], "must have ids that differ")
        return specs
