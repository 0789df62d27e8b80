"""A supervisor in a simulation: it is held to what it promises of its children, by what is seen of their beginnings and ends.

reverse_stop      at its end it stops its children in reverse: each when those behind it are down
restarts          it restarts them no more often than its options allow
"""

from collections.abc import Callable, Iterable
from typing import Any

import pykka
from msgspec import Struct, structs

from lightspeed.actors.errors import InvariantBroken
from lightspeed.actors.pooled_ref import PooledRef
from lightspeed.actors.watching import Down, watch
from lightspeed.supervision import ChildSpec, Supervisor
from lightspeed.supervision.child_table import Phase, SupervisedChild
from lightspeed.supervision.supervisor_messages import StartChild
from lightspeed.testing.pool import SimulatedPool


class _Child(Struct):
    """What is known of one child."""

    ended_s: float = 0.0
    """When its last actor ended."""
    tries: int = 0
    """How often a restart had been wanted when its last actor was started."""


class _SeenSpec(ChildSpec, frozen=True, kw_only=True):
    begun: Callable[[Any, pykka.ActorRef[Any]], None]

    def begin(self) -> Any:
        ref = super().begin()
        if isinstance(ref, PooledRef):
            self.begun(self.id, ref)
        return ref


class SimulatedSupervisor(Supervisor):
    """Supervisors below it take part too, with the same clock and randomness, where they were given none."""

    def __init__(self, children: Iterable[ChildSpec] = (), **options: Any) -> None:
        self._home = {name: options[name] for name in ("pool", "clock", "randomness")}
        self._sim_pool: SimulatedPool = options["pool"]
        self._seen: dict[Any, _Child] = {}
        self._restarted: list[tuple[float, float]] = []  # between which moments each restart was wanted
        self._on_their_way: list[SupervisedChild] = []  # those that were being stopped when its own end began
        super().__init__([self._see(spec) for spec in children], **options)

    def _request(self, message: Any, reply: Any) -> None:
        super()._request(StartChild(self._see(message.spec)) if type(message) is StartChild else message, reply)

    def _begin_end(self, error: BaseException | None) -> None:
        if not self._is_ending:
            self._on_their_way = [child for child in self._table if child.phase is Phase.STOPPING]
        super()._begin_end(error)

    def _see(self, spec: Any) -> Any:
        if not isinstance(spec, ChildSpec):
            return spec  # which is refused
        fields = structs.asdict(spec)
        if spec.is_supervisor:
            kind, args, kwargs = fields["start"]
            fields["start"] = (SimulatedSupervisor if kind is Supervisor else kind, args, {**self._home, **kwargs})
        return _SeenSpec(**fields, begun=self._begun)

    def _begun(self, child_id: Any, ref: pykka.ActorRef[Any]) -> None:
        child = self._table.get(child_id)
        assert child is not None
        seen = self._seen.setdefault(child_id, _Child())
        now_s = self._sim_pool.clock.now_s
        self._restarted += [(seen.ended_s, now_s)] * (child.tries - seen.tries)
        seen.tries = child.tries
        self._check_restarts(child, now_s)
        watch(ref, self._ended)

    def _ended(self, down: Down) -> None:
        child = self._table.by_ref(down.ref)
        if child is None:
            return  # abandoned before
        self._seen[child.spec.id].ended_s = self._sim_pool.clock.now_s
        if self._is_ending and not self._mortal_is_dead() and child.phase is Phase.STOPPING and child not in self._on_their_way:
            self._check_reverse(child)

    def _check_restarts(self, child: SupervisedChild, now_s: float) -> None:
        first_s = now_s - self._options.period_s
        self._restarted = [(ended_s, begun_s) for ended_s, begun_s in self._restarted if ended_s >= first_s]
        if len(self._restarted) > self._options.intensity:
            allowed = f"{self._options.intensity} in {self._options.period_s:g} s"
            self._break(
                "restarts", f"{child.spec.id!r} was restarted, the {len(self._restarted)}th restart where {allowed} are allowed"
            )

    def _check_reverse(self, child: SupervisedChild) -> None:
        children = list(self._table)
        behind = children[children.index(child) + 1 :]
        left = [other.spec.id for other in behind if other.ref is not None and other.ref.is_alive()]
        if left:
            self._break("reverse_stop", f"{child.spec.id!r} was stopped before {left}, which stand behind it")

    def _break(self, invariant: str, text: str) -> None:
        if self._sim_pool.broken is None:
            self._sim_pool.broken = InvariantBroken(invariant, text)
