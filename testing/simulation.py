"""A simulation: channels, clients and supervisors on one thread, with a seeded scheduler and a clock that is moved by hand."""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self, Unpack

import pykka

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.checks import check_call
from lightspeed.actors.errors import InvalidOption, InvariantBroken, SimulationMisused, SimulationStuck
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.stopping import stop_soon
from lightspeed.actors.text import escaped, named, shown
from lightspeed.channel import AsyncChannel, Channel, Event, FaultPlan
from lightspeed.channel.options import Adapter, AsyncChannelOptions, ChannelOptions, ClusterReady
from lightspeed.faults.network import NETWORK_KINDS
from lightspeed.supervision import ChildSpec, Supervisor, SupervisorRef
from lightspeed.testing.client import Client
from lightspeed.testing.loop import SimulatedLoop
from lightspeed.testing.network import SimulatedCluster, SimulatedNetwork
from lightspeed.testing.observer import Observer
from lightspeed.testing.pool import MOST_STEPS, SimulatedPool
from lightspeed.testing.rules import Rule, rule_of
from lightspeed.testing.runtime import SimulatedRuntime
from lightspeed.testing.schedulers import Scheduler, scheduler_of
from lightspeed.testing.simulated_channel import Gives, SimulatedAsyncChannel, SimulatedChannel
from lightspeed.testing.supervised import SimulatedSupervisor, simulated
from lightspeed.testing.trace import Trace, TracedRandom, in_ours, note

__tracebackhide__ = in_ours  # asked by pytest


class Simulation:
    """For the thread that made it only.

    Everything stands still until `step`, `run` or `run_for` is called, or somebody waits: a `handle`, a read, a `flush_outbox` or
    an `ask` runs others until its answer is there. Between two messages any other actor may come in; within one none does, but
    for what an `ask` waits for.

    Args:
        seed: what the scheduler's choices and `random` hang on. The same seed, the same run.
        scheduler: `random` (default), `priority`, `round_robin`, or a `Scheduler`.
        faults: for every channel, beyond its own. None, the default: none.
        skip: the numbers of events, in the order in which they are sent, from 0, that are not sent. Default: none.
        asks_for_sometimes: whether `close` raises where a rule of `sometimes` never held. Default True.

    Raises:
        InvalidOption: there is no such scheduler.
    """

    observers: ClassVar[tuple[Callable[["Simulation"], Observer], ...]] = ()
    """What makes an `Observer` of each simulation from here on, as a class does."""

    def __init__(
        self,
        seed: int = 0,
        *,
        scheduler: str | Scheduler = "random",
        faults: FaultPlan | None = None,
        skip: frozenset[int] = frozenset(),
        asks_for_sometimes: bool = True,
    ) -> None:
        self.seed = seed
        self.sent = 0
        """How many events were sent, or skipped."""
        self._faults = FaultPlan() if faults is None else _check_plan(faults)
        self._skip, self._asks_for_sometimes = skip, asks_for_sometimes
        self.trace = Trace()
        self.random = TracedRandom(seed, self.trace)
        """A `random.Random` for whatever in a run is to be drawn by lot."""
        chosen = scheduler_of(scheduler, seed) if isinstance(scheduler, str) else scheduler
        self.pool = SimulatedPool(chosen, self.trace)
        """For actors of your own: `MyActor.start(pool=simulation.pool)`."""
        self._channels: list[SimulatedChannel | SimulatedAsyncChannel] = []
        self._refs: list[pykka.ActorRef[Any]] = []
        self._loop: SimulatedLoop | None = None
        self._loops: list[SimulatedLoop] = []
        self._always: list[Rule] = []
        self._later: list[Rule] = []
        self._is_closed = False
        self._observers = [make(self) for make in self.observers]

    # What takes part

    def channel(self, adapter: Adapter | None = None, **given: Unpack[ChannelOptions]) -> Channel:
        """A channel whose actors take part. Options as of `Channel`, but for the runtime."""
        channel: Channel = self._make_channel(SimulatedChannel, adapter, given, self.new_loop)
        return channel

    def async_channel(self, adapter: Adapter | None = None, **given: Unpack[AsyncChannelOptions]) -> AsyncChannel:
        """An `AsyncChannel` for coroutines on the simulation's `loop`. Options as of `AsyncChannel`, but for the runtime."""
        loop = self.loop
        channel: AsyncChannel = self._make_channel(SimulatedAsyncChannel, adapter, given, lambda: loop)
        return channel

    def _make_channel(self, kind: type[Any], adapter: Adapter | None, given: Any, make_loop: Callable[[], SimulatedLoop]) -> Any:
        self._check_open()
        options: dict[str, Any] = {**given, "faults": self._plan(given.get("faults"))}
        if "runtime" in options:
            raise InvalidOption("runtime", options["runtime"], "must be the simulation's own: leave it out")
        name = self.pool.name("channel")
        prefix = "" if name == "channel" else f"{name} "
        gives = Gives(self.trace, prefix)
        for observer in self._observers if kind is SimulatedChannel else ():
            kind = observer.channel(kind, options)
        runtime = SimulatedRuntime(self.pool, self.random.random, prefix, gives, make_loop)
        channel = kind(self, gives, adapter, runtime=runtime, **options)
        self._channels.append(channel)
        return channel

    def cluster(
        self,
        nodes: int | Iterable[str] | Mapping[str, ChannelOptions] = 3,
        *,
        lease_s: float = 6.0,
        beat_s: float = 2.0,
        **given: Unpack[ChannelOptions],
    ) -> SimulatedCluster:
        """Channels that are nodes of one cluster, `n1` to `n3` or of these names, each maybe with options of its own.

        Options as of `ClusterReady`, and of `Channel`; `faults` is what goes wrong in each channel, and, of the kinds of
        `lightspeed.faults.network`, between them.
        """
        names = [f"n{number}" for number in range(1, nodes + 1)] if isinstance(nodes, int) else nodes
        plan = self._plan(given.get("faults")) or FaultPlan()
        between = tuple(fault for fault in plan.faults if type(fault) in NETWORK_KINDS.values())
        within = tuple(fault for fault in plan.faults if type(fault) not in NETWORK_KINDS.values())
        network = SimulatedNetwork(self.pool, self.seed, FaultPlan(between, plan.seed))
        given["faults"] = FaultPlan(within, plan.seed)
        channels = {}
        for name in names:
            options: Any = {**given, **(nodes[name] if isinstance(nodes, Mapping) else {})}
            channels[name] = self.channel(ClusterReady(name, "cluster", network.engine(), lease_s, beat_s), **options)
        return SimulatedCluster(network, channels)

    def client(self, channel: Channel, client_id: str, user_id: str | None = None) -> Client:
        """One that sends events when the scheduler lets it; asked for again, the same. `user_id`: by default as `client_id`.

        Raises:
            SimulationMisused: the channel is another's, or the client is another user's.
        """
        if not isinstance(channel, SimulatedChannel) or channel.simulation is not self:
            raise SimulationMisused("the channel must be one of this simulation")
        clients = channel.gives.clients
        for name, value in (("client_id", client_id), ("user_id", user_id)):
            if type(value) is not str and not (value is None and name == "user_id"):
                raise InvalidOption(name, value, "must be a str")
        if client_id not in clients:
            clients[client_id] = Client(self, channel, client_id, client_id if user_id is None else user_id)
        client = clients[client_id]
        if user_id not in (None, client.user_id):
            raise SimulationMisused(
                f"client {escaped(client_id)} is {escaped(client.user_id)}'s already, and can't be {escaped(str(user_id))}'s too"
            )
        return client

    def supervisor(self, children: Iterable[ChildSpec] = (), **options: Any) -> SupervisorRef:
        """A `Supervisor` that takes part, and those among its children. Give other children the pool: `pool=simulation.pool`."""
        ref = self.begin_supervisor(children, **options)
        supervisor: Any = ref._actor
        supervisor._first_start.get()
        return ref

    def begin_supervisor(self, children: Iterable[ChildSpec] = (), **options: Any) -> SupervisorRef:
        """As `supervisor`, and does not wait until its children have started."""
        self._check_open()
        ref = simulated(Supervisor, self._home(), self._kind_of_supervisor)._supervised_start(children, **options)
        self._refs.append(ref)
        return ref

    def start(self, actor_class: type[PooledActor], *args: Any, **kwargs: Any) -> pykka.ActorRef[Any]:
        """An actor of your own, whose `__init__` must hand `pool` on to `PooledActor`'s; or a supervisor of a class of your own.

        It is stopped at the end.

        Raises:
            SimulationMisused: it is no `PooledActor`, or not on the simulation's pool.
        """
        self._check_open()
        if not (isinstance(actor_class, type) and issubclass(actor_class, PooledActor)):
            raise SimulationMisused(f"{shown(actor_class)} must be a class of PooledActors")
        if issubclass(actor_class, Supervisor):
            ref: pykka.ActorRef[Any] = simulated(actor_class, self._home(), self._kind_of_supervisor).start(*args, **kwargs)
        else:
            ref = actor_class.start(*args, pool=self.pool, **kwargs)  # type: ignore[arg-type]
        if ref._actor._pooled_pool is not self.pool:  # type: ignore[attr-defined]
            stop_soon(ref)
            raise SimulationMisused(f"{named(ref)} is not on the simulation's pool: its __init__ must hand pool on")
        self._refs.append(ref)
        return ref

    @property
    def loop(self) -> SimulatedLoop:
        """The event loop of the play, which takes part from here on: `asyncio` in virtual time. Asked for again, the same.

        At the play's end the tasks that are left on it are cancelled and waited for, as `asyncio.run` does; a task that failed,
        and that nobody awaited, fails the run.
        """
        if self._loop is None:
            self._loop = self.new_loop()
        return self._loop

    def new_loop(self) -> SimulatedLoop:
        """An event loop of its own, beside that of the play; its tasks are cancelled when channels and actors have ended."""
        self._check_open()
        loop = SimulatedLoop(self, self.pool.name("loop"))  # type: ignore[abstract]  # what it refuses is not written out
        self._loops.append(loop)
        return loop

    def every(self, period_s: float, call: Callable[[], object]) -> None:
        """Call each so many seconds of virtual time, first after one of them."""
        check_call("call", call)

        def again() -> None:
            self.pool.call_later(period_s, again)
            call()

        self.pool.call_later(period_s, again)

    def skips(self) -> bool:
        """Whether the next event is not to be sent. Asked once for each."""
        self.sent += 1
        return self.sent - 1 in self._skip

    def sends(self, channel: Channel, event: Event) -> None:
        """A client is about to send this."""
        for observer in self._observers:
            observer.sends(channel, event)

    @property
    def _kind_of_supervisor(self) -> type[SimulatedSupervisor]:
        kind = SimulatedSupervisor
        for observer in self._observers:
            kind = observer.supervisor(kind)
        return kind

    def _home(self) -> dict[str, Any]:
        """What a supervisor takes part with."""
        return {"pool": self.pool, "clock": SimulatedRuntime(self.pool, self.random.random, ""), "randomness": self.random}

    def _plan(self, own: FaultPlan | None) -> FaultPlan | None:
        if own is None:
            return self._faults if self._faults.faults else None
        own = _check_plan(own)
        more = (fault for fault in self._faults.faults if not any(before.leaves_nothing_to(fault) for before in own.faults))
        return FaultPlan((*own.faults, *more), own.seed)

    # Time and turns

    @property
    def now_s(self) -> float:
        """Virtual seconds since the simulation began."""
        return self.pool.clock.now_s

    @property
    def now_ms(self) -> int:
        """Virtual time for events, in whole milliseconds since the simulation began."""
        return int(self.pool.clock.now_s * 1000)

    @property
    def steps(self) -> int:
        """The number of steps that were made."""
        return self.pool.steps

    @property
    def handled(self) -> int:
        """How many messages topics handled."""
        return sum(channel.gives.handled for channel in self._channels)

    @property
    def fired(self) -> int:
        """How often faults have acted."""
        return sum(sum(channel.faults.fired) for channel in self._channels if channel.faults is not None)

    @property
    def seen(self) -> dict[str, bool]:
        """Of each rule of `sometimes`, whether it has held."""
        return {rule.name: rule.has_held for rule in self._later if rule.due_s is None}

    @property
    def hash(self) -> str:
        """Of the trace: equal for equal runs, on any machine."""
        return self.trace.hash

    def step(self) -> bool:
        """Let one actor, client or timer that is due handle one message. False: none is ready.

        Raises:
            InvariantBroken: by that step.
        """
        if not self.pool.step():
            return False
        if self._always or self._later:
            self._look()
        return True

    def run(self, most_steps: int = MOST_STEPS) -> int:
        """Step until nobody is ready. The clock stands still, so what is put off stays so. How many steps it took.

        Raises:
            InvariantBroken: on the way, or when all had come to rest.
            SimulationStuck: it took more steps than `most_steps`.
        """
        before = self.pool.steps
        if self._always or self._later:
            while self.pool.steps - before <= most_steps and self.step():
                pass
        else:
            self.pool.run(most_steps + 1)
        if self.pool.ready:
            raise SimulationStuck(f"it is still busy after {most_steps} steps")
        for observer in self._observers:
            observer.at_rest()
        self.pool.check_at_rest()
        return self.pool.steps - before

    def run_for(self, seconds: float) -> int:
        """As `run`, with so many seconds of virtual time in which what was put off comes. How many steps it took.

        Raises:
            SimulationStuck: time does not pass, since calls are put off by no time again and again.
        """
        end_s = self.now_s + seconds
        steps = self.run()
        while self.pool.advance(end_s):
            steps += self.run()
        self._look()
        return steps

    # What must be so

    def always(self, holds: Callable[[], object], name: str | None = None) -> None:
        """After every step from now on `holds()` must be true.

        It must not wait: look at state of your own, at `Client.received`, or at what a sink was given.
        """
        self._always.append(rule_of(holds, name))

    def eventually(self, holds: Callable[[], object], within_s: float, name: str | None = None) -> None:
        """Within so many seconds of virtual time from now `holds()` must have been true after some step."""
        self._later.append(rule_of(holds, name, self.now_s + within_s))

    def sometimes(self, holds: Callable[[], object], name: str | None = None) -> None:
        """After some step before the end `holds()` must have been true: else the run has not tried what it is for."""
        self._later.append(rule_of(holds, name))

    def _look(self) -> None:
        self.pool.may_wait = False
        try:
            for rule in self._always:
                if not rule.look():
                    raise InvariantBroken(rule.name, f"it did not hold at step {self.steps}, after {self.now_s:g} s")
            for rule in self._later:
                rule.has_held = rule.has_held or rule.look()
                if not rule.has_held and rule.due_s is not None and self.now_s > rule.due_s:
                    raise InvariantBroken(rule.name, f"it had not held by {rule.due_s:g} s")
        finally:
            self.pool.may_wait = True

    # The end

    @property
    def is_closed(self) -> bool:
        """Whether nothing runs in it any more."""
        return self._is_closed

    def close(self) -> None:
        """Run until all is at rest, close the channels, stop supervisors and actors, the last first, and see to what must be so.

        Before all that supervisors with tasks are stopped, and the tasks that are left on the play's loop cancelled.

        Raises:
            InvariantBroken: something is not.
            BaseException: what a task failed of that nobody awaited.
        """
        if self._is_closed:
            return
        for loop in self._loops:
            loop.check_outside("close")
        self._is_closed = True
        try:
            self._stop_actors(with_tasks=True)
            if self._loop is not None:
                self._loop.end()
            self.run()
            for channel in self._channels:
                if isinstance(channel, SimulatedAsyncChannel):
                    self.loop.run_until_complete(channel.close())
                    continue
                for observer in self._observers:
                    observer.closing(channel)
                channel.close()
                if channel.keeps_outbox:
                    channel.flush_outbox()
                for observer in self._observers:
                    observer.closed(channel)
            self._stop_actors(with_tasks=False)
            self.run()
            for loop in self._loops:
                loop.end()
            self._look_back()
        finally:
            self._drop()

    def _stop_actors(self, *, with_tasks: bool) -> None:
        """Supervisors with tasks before the loop of these has its end, which would be no stop; all others at the last."""
        for ref in reversed(self._refs):
            if ref.is_alive() and (not with_tasks or getattr(ref._actor_weakref(), "tasks", None) is not None):
                ref.stop()

    def abandon(self) -> list[str]:
        """End it where it stands, and ask for nothing. Harmless where it is closed. What tasks failed of that nobody awaited."""
        if self._is_closed:
            return []
        self._is_closed = True
        return self._drop()

    def _look_back(self) -> None:
        self._look()
        for rule in self._later:
            if not rule.has_held and (rule.due_s is not None or self._asks_for_sometimes):
                raise InvariantBroken(rule.name, "it never held")

    def _drop(self) -> list[str]:
        """Nothing is left that would warn or run, whatever has become of it. What tasks failed of that nobody awaited."""
        untold = [text for loop in self._loops for text in loop.drop()]
        for ref in self._refs:
            if isinstance(supervisor := ref._actor_weakref(), SimulatedSupervisor):
                supervisor.let_go()
        for channel in self._channels:
            channel._finalizer.detach()
            channel.let_go_of_clients()
            channel.gives.let_go()
        self.pool.close()
        for ref in pykka.ActorRegistry.get_all():
            if isinstance(ref, PooledRef) and ref._actor._pooled_pool is self.pool:
                pykka.ActorRegistry.unregister(ref)
        return untold

    def _check_open(self) -> None:
        if self._is_closed:
            raise SimulationMisused("the simulation is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            for text in self.abandon():
                note(error, text)
            note(error, f"in a simulation with seed {self.seed}, at step {self.steps}, after {self.now_s:g} s")


def _check_plan(plan: object) -> FaultPlan:
    if not isinstance(plan, FaultPlan):
        raise InvalidOption("faults", plan, "must be a FaultPlan or None")
    return plan
