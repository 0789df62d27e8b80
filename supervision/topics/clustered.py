"""The part of a topics' supervisor that knows who is in its topics on the other nodes of a cluster.

What these show comes as a message, and changes the union of the others; a topic's actor is given a copy of that at its start, and
each change from then on, in its turn. What this node shows goes out by the relay: a topic's actor hands it over as it gives it
out, and the supervisor what no actor can.
"""

from functools import partial
from typing import Any

from lightspeed.actors.topics.mail import Afar, BoundedCell, Delivery, Mail, Question, Relay
from lightspeed.actors.topics.rules.events import Publish, Relayed
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.presence import Diff
from lightspeed.actors.topics.rules.topic import BoundedTopic
from lightspeed.actors.topics.rules.union import Union
from lightspeed.supervision.topics.following import FollowedRouter
from lightspeed.supervision.topics.messages import Arrived, EnterCluster
from lightspeed.supervision.topics.topic import Incarnation, Topic


class ClusteredRouter(FollowedRouter):
    """For the supervisor's thread only."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._relay: Relay | None = None
        self._afar: dict[str, Union] = {}
        """Topic -> who is in it on other nodes."""

    def _enter_cluster(self, message: EnterCluster) -> None:
        self._relay = message.relay

    def _leave_cluster(self) -> None:
        if self._relay is not None:
            self._relay.close()

    # What comes from others

    def _arrive(self, message: Arrived) -> None:
        for what in message.items:
            if isinstance(what, Relayed):
                if what.topic in self._counted or self._live(what.topic) is not None:
                    self._route(Delivery(what, None, self._next_number()))
            elif isinstance(what, Diff):
                self._change_afar(what)
            elif isinstance(what, System):
                self._put_out(self._next_number(), None, (what,), None)
            else:
                self._put_out(self._next_number(), None, (System(f"gap:{what.node}:{what.count}"),), None)
                if self._follower is not None:
                    self._follower.missed(what.node, what.count, what.concerns)
        if message.reply is not None:
            message.reply.set()

    def _change_afar(self, diff: Diff) -> None:
        name, live = diff.topic, self._live(diff.topic)
        union = self._afar.setdefault(name, Union())
        change = union.change(name, diff.joins, diff.leaves)
        if not union:
            del self._afar[name]
        if (change.joins or change.leaves) and live is not None and live.ref is not None:
            self._deliver(live, Afar(change, self._next_number()))

    def _take_back_members(self, topic: Topic, one: Incarnation) -> None:
        """Its actor is about to start: it is given who is there already."""
        super()._take_back_members(topic, one)
        cell = one.cell
        if self._relay is not None and isinstance(cell, BoundedCell):
            afar = self._afar.get(cell.topic)
            cell.relay, cell.union = self._relay, Union() if afar is None else afar.copy()

    def _answer(self, mail: Mail, why: str) -> None:
        """A question that no actor here will answer has its answer of who is there."""
        if type(mail) is Question and mail.topic in self._afar:
            mail.reply.set(mail.request(BoundedTopic("", union=self._afar[mail.topic])))
        else:
            super()._answer(mail, why)

    # What goes to others

    def _route_now(self, delivery: Delivery) -> None:
        event = delivery.request
        if type(event) is Publish and (self._life.crashed or self._live(event.topic) is None):
            self._publish_afar(event)
        super()._route_now(delivery)

    def _publish_afar(self, event: Publish) -> None:
        """No actor here is given it. The others are, behind all that came from here before."""
        if self._relay is None:
            return
        said = partial(self._relay.said, event.topic, event.payload, event.event, None)
        leaving = self._leaving.get(event.topic)
        if leaving is None or leaving.leaving is None or (last := leaving.leaving.last.leaving) is None:
            said()
        else:
            last.latches = (*last.latches, _Then(said))

    def _clear_afar(self, one: Incarnation) -> None:
        """An incarnation has ended, and whoever was in it is gone."""
        if self._relay is not None:
            self._relay.cleared(one.cell.topic)


class _Then:
    """What is done when an end has come."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def set(self, value: Any = None) -> None:
        self._call()
