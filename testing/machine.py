"""A state machine of Hypothesis around a channel in simulation: what clients do, and whose turn it is, is drawn and shrunk."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from lightspeed.channel import Channel, Crash, Restart
from lightspeed.testing.scenario import OPERATOR
from lightspeed.testing.simulation import Simulation
from lightspeed.testing.strategies import st, stateful


def _one_of(name: str) -> st.SearchStrategy[Any]:
    """One of those in this attribute of the machine."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, name)))


class Turns:
    """A scheduler: whose turn it is is said beforehand; where it is not, whoever has waited longest."""

    def __init__(self) -> None:
        self.next: deque[int] = deque()

    def choose(self, ready: Sequence[Any]) -> int:
        return self.next.popleft() % len(ready) if self.next else 0


class ChannelMachine(stateful.RuleBasedStateMachine):
    """Events of clients and the operator, turns and time, in any order that Hypothesis likes.

    Subclass it for a channel of your own, with `options`, rules and `@invariant`s, and run `MyMachine.TestCase`.
    """

    clients: ClassVar[Sequence[str]] = ("a1", "a2", "b1")
    """Each is the user's of its first letter."""
    topics: ClassVar[Sequence[str]] = ("x", "y")
    options: ClassVar[dict[str, Any]] = {}
    """Of the channel, as of `Channel`: behaviours, faults, restarts and the like."""

    def __init__(self) -> None:
        super().__init__()
        self._turns = Turns()
        self.simulation = Simulation(scheduler=self._turns)
        self.channel: Channel = self.simulation.channel(**self.options)

    @stateful.rule(client=_one_of("clients"), topic=_one_of("topics"))
    def join(self, client: str, topic: str) -> None:
        self._client(client).join(topic)

    @stateful.rule(client=_one_of("clients"), topic=_one_of("topics"))
    def rejoin(self, client: str, topic: str) -> None:
        self._client(client).rejoin(topic)

    @stateful.rule(client=_one_of("clients"), topic=_one_of("topics"))
    def leave(self, client: str, topic: str) -> None:
        self._client(client).leave(topic)

    @stateful.rule(client=_one_of("clients"), topic=_one_of("topics"), payload=st.text(max_size=3))
    def broadcast(self, client: str, topic: str, payload: str) -> None:
        self._client(client).broadcast(topic, payload)

    @stateful.rule(client=_one_of("clients"), topic=_one_of("topics"), event=st.text(max_size=3), payload=st.text(max_size=3))
    def push(self, client: str, topic: str, event: str, payload: str) -> None:
        self._client(client).push(topic, event, payload)

    @stateful.rule(topic=_one_of("topics"))
    def crash_topic(self, topic: str) -> None:
        self._client(OPERATOR).send(Crash("drawn", topic))

    @stateful.rule(topic=_one_of("topics"))
    def restart_topic(self, topic: str) -> None:
        self._client(OPERATOR).send(Restart(topic))

    @stateful.rule()
    def crash(self) -> None:
        self._client(OPERATOR).send(Crash("drawn"))

    @stateful.rule()
    def restart(self) -> None:
        self._client(OPERATOR).send(Restart())

    @stateful.rule(turns=st.lists(st.integers(0, 5), min_size=1, max_size=10))
    def take_turns(self, turns: list[int]) -> None:
        """So many steps, each of whoever stands at that place among those who are ready."""
        for turn in turns:
            self._turns.next.append(turn)
            self._go(self.simulation.step)
            self._turns.next.clear()

    @stateful.rule(seconds=st.sampled_from((0.1, 1.0, 10.0, 60.0)))
    def pass_time(self, seconds: float) -> None:
        self._go(lambda: self.simulation.run_for(seconds))
        self.at_rest()

    @stateful.rule()
    def come_to_rest(self) -> None:
        self._go(self.simulation.run)
        self.at_rest()

    def at_rest(self) -> None:
        """All has come to rest: for a subclass that looks at what must be so then. It may read the channel."""

    def teardown(self) -> None:
        if self.simulation.is_closed:
            return  # it has failed
        try:
            self.come_to_rest()
            self._go(self.simulation.close)
        finally:
            self.simulation.abandon()

    def _client(self, client: str) -> Any:
        return self.simulation.client(self.channel, client, client[0])

    def _go(self, play: Callable[[], object]) -> None:
        try:
            play()
        except BaseException:
            self.simulation.abandon()
            raise
