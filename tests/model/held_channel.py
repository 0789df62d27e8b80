"""A channel that is held to its rules: what is called is held against what was seen; and the observer that brings it."""

from collections.abc import Callable
from typing import Any

import pykka
from model.held_supervisor import HeldSupervisor
from model.incarnation import Rules
from model.moody import Moody, MoodyLater
from model.reads import check_effect, reading
from model.witness import SPOIL_REPLIES, Witness
from model.witnessed import WitnessedRuntime

from lightspeed.actors.errors import ChannelTimeout
from lightspeed.actors.topics.rules.events import Patterns
from lightspeed.channel import Channel, Event, Outbound, Tree
from lightspeed.channel.options import check_mailboxes
from lightspeed.faults import Hang, Jump, Slow
from lightspeed.supervision.topics import Options
from lightspeed.testing import Observer, Simulation
from lightspeed.testing.simulated_channel import SimulatedChannel

_FEW = 10  # topics that are read one by one at the end


class Model(Observer):
    """Holds all channels and supervisors of a simulation to what the library promises."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self._witnesses: list[Witness] = []

    def channel(self, kind: type[SimulatedChannel], options: dict[str, Any]) -> type[SimulatedChannel]:
        witness = self._witness(options)
        self._witnesses.append(witness)
        options["layers"] = (_Seen(witness), *options.get("layers", ()))
        return type("SimulatedChannel", (HeldChannel, kind), {"witness": witness})

    def supervisor(self, kind: type) -> type:
        return HeldSupervisor

    def sends(self, channel: Any, event: Event) -> None:
        channel.witness.sent(event)

    def at_rest(self) -> None:
        for witness in self._witnesses:
            witness.check()

    def closing(self, channel: Any) -> None:
        channel.read_all()

    def closed(self, channel: Any) -> None:
        channel.check_counts()
        channel.witness.check(at_end=True)

    def _witness(self, options: dict[str, Any]) -> Witness:
        plan, plain = options["faults"], Options()
        kinds = [] if plan is None else [type(fault) for fault in plan.faults]
        rules = Rules(
            restarts=options.get("restarts") or plain.restarts,
            rejoin_window_s=options.get("rejoin_window_s", plain.rejoin_window_s),
            event_timeout_s=options.get("event_timeout_s", plain.event_timeout_s),
            crash_timeout_s=options.get("crash_timeout_s", plain.crash_timeout_s),
            mailboxes=Patterns("mailboxes", check_mailboxes(options.get("mailboxes"))),
            has_ledger=options.get("rejoin") == "supervisor",
            trusts_clock=Jump not in kinds,
            may_hang=Hang in kinds or Slow in kinds or MoodyLater in options.get("behaviours", {}).values(),
            spoils_replies=SPOIL_REPLIES,
            repeatable={Moody: Moody, MoodyLater: Moody},
        )
        has_outbox, has_crowds = options.get("on_outbound") is None, options.get("capsules") is None
        return Witness(self.simulation.pool, rules, kinds, has_outbox=has_outbox, has_crowds=has_crowds)


def witness_of(channel: Channel) -> Witness:
    """Who sees to it that the channel keeps its rules."""
    witness: Witness = channel.witness  # type: ignore[attr-defined]
    return witness


class _Seen:
    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def over(self, runtime: Any) -> WitnessedRuntime:
        return WitnessedRuntime(runtime, self._witness)


class HeldChannel(SimulatedChannel):
    witness: Witness

    def __init__(self, *args: Any, on_outbound: Any = None, **options: Any) -> None:
        self._answered: Callable[[Any], object] | None = None  # told when what is asked next is answered
        super().__init__(*args, on_outbound=None if on_outbound is None else self._seen(on_outbound), **options)
        self.witness.books.keeps = lambda: self.keeps_outbox
        if self.faults is not None:
            self.faults.on_fire = self.witness.fired

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

    def _begin_to_follow(self) -> Any:
        hub = super()._begin_to_follow()
        if hub.clients is not self.witness.clients:
            hub.clients = self.witness.clients  # nobody is in it yet
        return hub

    def client(self, *args: Any, **options: Any) -> Any:
        client = super().client(*args, **options)
        self.witness.clients.ready(client._session, self.witness.lives)
        return client

    def carry_out(self, event: Event) -> None:
        """As `handle`, of what was counted before."""
        self._answered = lambda _value: check_effect(self.witness, event)
        super().carry_out(event)

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
        asked = message(None)
        with reading(self.witness, call, getattr(asked, "topic", None), getattr(asked, "client_id", None)) as read:
            self._answered = read.answer
            return (yield from super()._ask(call, message))

    def _call(self, event: Event, timeout_s: float | None, *, is_clients: bool) -> Any:
        """As `handle`, for a verb of a client too."""
        self._answered = lambda _value: check_effect(self.witness, event)
        return (yield from super()._call(event, timeout_s, is_clients=is_clients))

    def _await(self, call: str, reply: Any, timeout_s: float | None = None) -> Any:
        reply.seen, self._answered = self._answered, None
        try:
            return super()._await(call, reply, timeout_s)
        except ChannelTimeout:
            reply.seen = None  # what comes later is for nobody
            if not self.witness.may_keep_waiting:
                rule = "supervisor" if self.witness.has_failed else "handle" if call in ("handle", "call") else "reads"
                self.witness.break_rule(rule, f"{call} was not answered in time")
            raise

    # The end

    def read_all(self) -> None:
        """All is at rest: what can be read is what was seen. Nothing is, where something may have to be waited for."""
        if self._ingress.is_shut or self.witness.is_held or self.witness.has_failed:
            return
        self.crashed, self.membership_count, self.topics()
        for topic in list(self.witness.lives)[:_FEW]:
            self.subscribers(topic), self.presences(topic)
        members = {client_id for life in self.witness.lives.values() for client_id in life.members}
        for client_id in () if self._hub is None else sorted(members)[:_FEW]:
            self.topics_of(client_id)
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
        due = {topic: ("running", now.cell.incarnation, len(now.members)) for topic, now in alive.items()}
        running = {topic: seen for topic, seen in shown.items() if seen[0] == "running"}
        if running != due:
            self.witness.break_rule("reads", f"tree: {running} run, where {due} do")
