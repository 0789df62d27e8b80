"""A channel in a simulation: what is called is counted, may be skipped, and is held against what was seen."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import ChannelTimeout
from lightspeed.channel import Channel, Event, Outbound, Tree
from lightspeed.channel.channel import Adapter
from lightspeed.supervision.topics import Sink
from lightspeed.testing.invariants.reads import check_effect, reading
from lightspeed.testing.invariants.witness import Witness

if TYPE_CHECKING:
    from lightspeed.testing.simulation import Simulation

_FEW = 10  # topics that are read one by one at the end


class SimulatedChannel(Channel):
    """Made by `Simulation.channel`."""

    def __init__(
        self,
        simulation: "Simulation",
        witness: Witness,
        adapter: Adapter | None,
        *,
        on_outbound: Sink | None = None,
        **options: Any,
    ) -> None:
        self.simulation, self.witness = simulation, witness
        self._answered: Callable[[Any], object] | None = None  # told when what is asked next is answered
        super().__init__(adapter, on_outbound=None if on_outbound is None else self._seen(on_outbound), **options)

    def _seen(self, sink: Any) -> Any:
        hand_over = sink.tell if isinstance(sink, pykka.ActorRef) else sink

        def see(message: Outbound) -> None:
            self.witness.delivered(message)
            try:
                hand_over(message)
            except BaseException:
                self.witness.undelivered += 1
                raise

        return see if callable(hand_over) else sink  # which is refused

    # Orders and events: what is told outside of a `Client` is counted too, and may be skipped.

    def handle(self, event: Event) -> None:
        if not self.simulation.skips():
            self.carry_out(event)

    def carry_out(self, event: Event) -> None:
        """As `handle`, of what was counted before."""
        self._answered = lambda _value: check_effect(self.witness, event)
        Channel.handle(self, event)

    def tell(self, event: Event) -> None:
        if not self.simulation.skips():
            super().tell(event)

    def close(self, timeout_s: float | None = None) -> None:
        self.witness.close()
        super().close(timeout_s)

    # Whatever waits

    def flush_outbox(self) -> list[Outbound]:
        with reading(self.witness, "flush_outbox") as read:
            messages = super().flush_outbox()
            read.flush(messages)
            return messages

    def _ask(self, call: str, message: Callable[[Any], Any]) -> Any:
        topic = getattr(message(None), "topic", None)
        with reading(self.witness, call, topic) as read:
            self._answered = read.answer
            return super()._ask(call, message)

    def _await(self, call: str, reply: Any) -> Any:
        reply.seen, self._answered = self._answered, None
        try:
            return super()._await(call, reply)
        except ChannelTimeout:
            reply.seen = None  # what comes later is for nobody
            if not self.witness.may_keep_waiting:
                rule = "supervisor" if self.witness.has_failed else "handle" if call == "handle" else "reads"
                self.witness.break_rule(rule, f"{call} was not answered in time")
            raise

    # The end

    def read_all(self) -> None:
        """All is at rest: what can be read is what was seen. Nothing is, where something may have to be waited for."""
        if self._door.is_shut or self.witness.is_held or self.witness.has_failed:
            return
        self.crashed, self.membership_count, self.topics()
        for topic in list(self.witness.lives)[:_FEW]:
            self.subscribers(topic), self.presences(topic)
        self._check_tree(self.tree())

    def check_counts(self) -> None:
        """It is closed: what it has counted is what was seen."""
        witness = self.witness
        if self.abandoned_count != witness.given_up and not witness.has_failed:
            witness.break_rule("stuck", f"{self.abandoned_count} were counted as given up, where {witness.given_up} were")
        if witness.has_failed and not self.dead_letter_count:
            witness.break_rule("supervisor", "what the supervisor failed over is no dead letter")
        if witness.letters is not None and self.dead_letter_count != witness.letters:
            witness.break_rule("accounted_for", f"{self.dead_letter_count} dead letters, where {witness.letters} were due")

    def _check_tree(self, tree: Tree) -> None:
        shown = {child.id: (child.phase, child.incarnation, child.members) for child in tree.children}
        alive = {life.topic: life.now for life in self.witness.lives.values() if life.now is not None}
        due = {topic: ("running", now.post.incarnation, len(now.members)) for topic, now in alive.items()}
        running = {topic: seen for topic, seen in shown.items() if seen[0] == "running"}
        if running != due:
            self.witness.break_rule("reads", f"tree: {running} run, where {due} do")
