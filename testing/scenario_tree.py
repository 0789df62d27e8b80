"""A supervisor with children in a scenario, as data, and what is done to them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import pykka
from msgspec import Struct
from msgspec.structs import asdict, replace

from lightspeed.actors.errors import (
    InvalidOption,
    InvariantBroken,
    LightspeedError,
    SimulationStuck,
    SupervisorStopped,
    SupervisorTimeout,
)
from lightspeed.actors.tasks import TaskActor
from lightspeed.supervision import Backoff, ChildSpec, Supervisor, SupervisorRef
from lightspeed.supervision.messages import (
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChild,
    WhichChildren,
)
from lightspeed.supervision.rules import AutoShutdown, Kind, Strategy
from lightspeed.supervision.spec import ShutdownS, SupervisorOptions
from lightspeed.testing.supervised import SimulatedSupervisor
from lightspeed.testing.task_workers import TASKS, cancel_task, tell_task
from lightspeed.testing.workers import WORKERS, Starts, TreeWorker

if TYPE_CHECKING:
    from lightspeed.testing.simulation import Simulation

KEEPER = "keeper"
"""Who does something to the tree."""

BRANCH = "branch"
"""The worker of a child that is a supervisor itself, of two workers that it does not restart."""

TASK_BRANCH = "task_branch"
"""The same, of which the first is a task."""

_BRANCHES = {BRANCH: ("plain", "plain"), TASK_BRANCH: ("task", "plain")}
_PLAINER = {**{name: "task" for name in TASKS if name != "task"}, TASK_BRANCH: BRANCH}
"""What of a worker is less special, and not as much less as `plain`."""
_NAMES = (*WORKERS, BRANCH, *TASKS, TASK_BRANCH)

What = Literal[
    "fail",
    "end",
    "shut_down",
    "hello",
    "cancel",
    "terminate_child",
    "restart_child",
    "delete_child",
    "start_child",
    "which_child",
    "which_children",
    "count_children",
    "tree",
    "stop",
]
OF_ALL: tuple[What, ...] = ("which_children", "count_children", "tree", "stop")
"""What concerns no single child."""

_TOLD = {"fail": "fail", "end": "end", "shut_down": "shut down", "hello": "hello"}
_REQUESTS: dict[str, Callable[[Any], Any]] = {
    "terminate_child": TerminateChild,
    "restart_child": RestartChild,
    "delete_child": DeleteChild,
    "start_child": StartChild,
    "which_child": WhichChild,
    "which_children": lambda _id: WhichChildren(),
    "count_children": lambda _id: CountChildren(),
}
_PATIENCE_S = 30.0  # of who waits for an answer


class ScenarioChild(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A child as data; each as of a `ChildSpec`, but for `worker`.

    Raises:
        InvalidOption: a field has a value that it can't have.
    """

    id: str
    worker: str = "plain"
    """What it is: a name of `WORKERS` or `TASKS`, or `branch` or `task_branch`."""
    kind: Kind = "permanent"
    significant: bool = False
    shutdown_s: ShutdownS | None = None

    def __post_init__(self) -> None:
        if self.worker not in _NAMES:
            raise InvalidOption("worker", self.worker, f"must be one of {', '.join(_NAMES)}")
        self.bare_spec()  # which refuses what can't be

    @property
    def needs_loop(self) -> bool:
        """Whether it is a task, or has one below it."""
        return self.worker in TASKS or self.worker == TASK_BRANCH

    def bare_spec(self) -> ChildSpec:
        """What a supervisor is told of it, whatever its worker."""
        return ChildSpec(**self._fields(), start=TreeWorker)

    def spec(self, pool: Any, starts: Starts) -> ChildSpec:
        """For a supervisor of the simulation that has this pool."""
        start: Any
        if self.worker in _BRANCHES:
            below = zip(("left", "right"), _BRANCHES[self.worker], strict=True)
            children = [ScenarioChild(name, worker).spec(pool, starts) for name, worker in below]
            start = (Supervisor, (children,), {"intensity": 0})
        elif self.worker in TASKS:
            start = (TASKS[self.worker], (starts,), {})
        else:
            start = (WORKERS[self.worker], (starts,), {"pool": pool})
        return ChildSpec(**self._fields(), start=start)

    def _fields(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "worker"}


class TreeAct(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="tree", tag_field="type"):
    """Something is done to the tree.

    Raises:
        InvalidOption: it takes a child, or takes none, or is of another one than it starts.
    """

    what: What
    """A message to a child's actor, where it has one: to fail, to end, to raise `Shutdown`, or nothing; a cancellation from
    outside, where it is a task; a request to the supervisor; or its stop."""
    child: str | None = None
    """None for what concerns all of them."""
    starts: ScenarioChild | None = None
    """For `start_child`."""

    def __post_init__(self) -> None:
        if (self.child is None) != (self.what in OF_ALL):
            raise InvalidOption("child", self.child, f"must be {'None' if self.what in OF_ALL else 'an id'} for {self.what}")
        if (self.starts is None) == (self.what == "start_child") or (self.starts is not None and self.starts.id != self.child):
            raise InvalidOption("starts", self.starts, "must be the child that start_child starts, and else None")

    @property
    def name(self) -> str:
        """As it stands in the trace."""
        return f"tree {self.what} {self.child or ''}".rstrip()


class ScenarioTree(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A supervisor; each option as of `Supervisor`.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    children: tuple[ScenarioChild, ...] = ()
    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        self._rules.check_children(child.bare_spec() for child in self.children)

    def check(self, act: TreeAct) -> None:
        """
        Raises:
            InvalidOption: it starts a child that a supervisor with these options can't have.
        """
        if act.starts is not None:
            self._rules.check_child(act.starts.bare_spec())

    @property
    def _rules(self) -> SupervisorOptions:
        return SupervisorOptions(**self.options, start_timeout_s=5.0)

    @property
    def options(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "children"}

    @property
    def parts(self) -> list[tuple[str, ...]]:
        """What could be left out of it: a child, an option, or what is special of a child, or only some of that."""
        plain = ScenarioTree()
        options = [(name,) for name, value in self.options.items() if value != getattr(plain, name)]
        special = [
            ("children", child.id, name)
            for child in self.children
            for name, value in asdict(child).items()
            if value != getattr(ScenarioChild(child.id), name)
        ]
        plainer = [
            ("children", child.id, "worker", _PLAINER[child.worker]) for child in self.children if child.worker in _PLAINER
        ]
        return [*(("children", child.id) for child in reversed(self.children)), *options, *special, *plainer]

    def without(self, part: tuple[str, ...]) -> Self:
        """
        Raises:
            InvalidOption: the rest does not go together.
        """
        if len(part) == 1:
            return replace(self, **{part[0]: getattr(ScenarioTree(), part[0])})
        _, child_id, *field = part
        kept = (_simpler(child, *field) if child.id == child_id else child for child in self.children)
        return replace(self, children=tuple(child for child in kept if child is not None))


def _simpler(child: ScenarioChild, field: str | None = None, value: Any = None) -> ScenarioChild | None:
    """With this value, or what is plain, in one field; None where there is no field."""
    if field is None:
        return None
    return replace(child, **{field: getattr(ScenarioChild(child.id), field) if value is None else value})


class GrownTree:
    """A scenario's tree in a simulation.

    Args:
        needs_loop: whether there will be tasks in it.
    """

    def __init__(self, tree: ScenarioTree, simulation: "Simulation", *, needs_loop: bool) -> None:
        self._pool, self._starts = simulation.pool, Starts()
        specs = [child.spec(self._pool, self._starts) for child in tree.children]
        self._ref = simulation.begin_supervisor(specs, **tree.options, loop=simulation.loop if needs_loop else None)
        assert isinstance(self._ref._actor, SimulatedSupervisor)
        self._supervisor = self._ref._actor

    def do(self, act: TreeAct, *, waits: bool) -> None:
        """Who waits, waits for the answer; what is refused, or too late, is no matter."""
        try:
            if act.what in _TOLD or act.what == "cancel":
                self._tell(act)
            elif act.what == "stop":
                self._ref.stop(block=waits)
            elif act.what == "tree":
                self._look_at_tree()
            else:
                about = act.child if act.starts is None else act.starts.spec(self._pool, self._starts)
                answer = self._ref.ask(_REQUESTS[act.what](about), block=False)
                if waits:
                    answer.get(timeout=_PATIENCE_S)
        except (InvariantBroken, SimulationStuck):
            raise
        except (LightspeedError, pykka.ActorDeadError, pykka.Timeout):
            pass

    def _look_at_tree(self) -> None:
        try:
            self._supervisor.looked_at(self._ref.tree(), None)
        except (SupervisorStopped, SupervisorTimeout) as error:
            self._supervisor.looked_at(None, error)

    def _tell(self, act: TreeAct) -> None:
        ref = self._supervisor.actor_of(act.child)
        if isinstance(ref, SupervisorRef):
            below = ref._actor
            assert isinstance(below, SimulatedSupervisor)
            if act.what == "end":
                ref.stop(block=False)
                return
            ref = below.actor_of("left")
        if ref is None:
            return
        actor = ref._actor_weakref()
        if act.what == "cancel":
            cancel_task(self._starts, actor)
        elif isinstance(actor, TaskActor) and act.what != "hello":
            tell_task(self._starts, actor, _TOLD[act.what])
        else:
            ref.tell(_TOLD[act.what])
