"""Who sees to it that a supervisor does what it must: what is seen of it is held, step by step, against what is due.

What the supervisor hears, and in which order, is taken from it; what it then does must be what `ReferenceSupervisor` has due, no
more and no less, before it turns to the next message. So races need no excuse: who hears otherwise must do otherwise.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pykka
from model.reference_child import Answer, Ask, Begin, Due, GiveUp, ReferenceChild, Stage, Stop, Wait, told
from model.reference_lanes import ReferenceLanes
from model.reference_supervisor import ReferenceSupervisor
from model.reference_views import ReferenceViews

from lightspeed.actors.errors import ExitReason, InsideActor, SupervisorStopped
from lightspeed.actors.failures import text_of
from lightspeed.actors.pykka_inside import STOP
from lightspeed.actors.text import shown
from lightspeed.supervision.children import ChildView
from lightspeed.supervision.messages import TerminateChild
from lightspeed.supervision.report import line_of
from lightspeed.supervision.spec import ChildSpec, SupervisorOptions
from lightspeed.supervision.tree import Tree
from lightspeed.testing.clock import EPSILON_S

_ALL = object()
"""The lane of what concerns all children."""
_RULES_OF_ENDS = {"RestartsExceeded": "restarts", "Shutdown": "significance"}


class SupervisorWitness:
    """Of one supervisor, for the simulation's thread.

    Args:
        now_s: by the supervisor's clock.
        breaks: told the rule that is broken, and how. After that nothing more is looked at.
    """

    def __init__(self, options: SupervisorOptions, now_s: Callable[[], float], breaks: Callable[[str, str], None]) -> None:
        self._options, self._now_s, self._breaks = options, now_s, breaks
        self._model = ReferenceSupervisor(options, now_s, self._recover_soon)
        self._by_ref: dict[pykka.ActorRef[Any], ReferenceChild] = {}
        self._views = ReferenceViews(self._model, self._break)
        self._lanes = ReferenceLanes()
        self._early: list[Ask] = []
        self._to_refuse: list[Ask] = []
        """Who is to be told, before anything else is heard, that it stops."""
        self._inside: list[Ask] = []
        """Who is to be refused at once, since his own end is what he waits for."""
        self._is_up = self._is_ending = self._was_told_to_stop = False
        self._error: BaseException | None = None
        self._has_moved = False
        """Since all was at rest."""
        self.is_over = False
        """It has ended, or broken a rule, or can't be seen: nothing more is looked at."""

    def actor_of(self, child_id: Any) -> pykka.ActorRef[Any] | None:
        """Who was started last for the child, and was not heard to have ended."""
        child = self._model.children.get(child_id)
        return None if child is None else child.ref

    def child_of(self, ref: pykka.ActorRef[Any]) -> ReferenceChild | None:
        """Whose actor it is, while it is not known to have ended."""
        return self._by_ref.get(ref)

    @property
    def children(self) -> list[ReferenceChild]:
        return list(self._model.children.values())

    # What it hears

    def starts(self, specs: Iterable[ChildSpec]) -> None:
        self._lanes.run(_ALL, self._model.start_all(specs))

    def all_up(self) -> None:
        """It takes its first start to be done."""
        if self._is_ending or self.is_over:
            return
        if self._lanes:
            self._break_by(self._lanes.due(_ALL), "strategy", "all children were said to be up")
        self._is_up = True
        for child in list(self._model.children.values()):
            if child.stage is Stage.ENDED:
                self._recover_soon(child)
        early, self._early = self._early, []
        for ask in early:
            self._carry_out(ask)

    def hears_up(self, ref: pykka.ActorRef[Any], *, is_up: bool) -> None:
        """`is_up`: whether it is so, or was when it ended."""
        if self.is_over:
            return
        child = self.child_of(ref)
        if child is not None and not is_up:
            self._break("strategy", f"{shown(child.spec.id)} was said to be up, and is not")
        if child is not None and child.stage is Stage.STARTING:
            self._model.come_up(child)
            self._wake(child)

    def hears_down(self, ref: pykka.ActorRef[Any], reason: ExitReason) -> None:
        child = self.child_of(ref)
        if child is None or self.is_over:
            return  # it was given up before
        was = child.stage
        self._unbind(child)
        child.stage, child.reason = Stage.ENDED, reason
        if was is Stage.UP:
            self._recover_soon(child)
        else:
            self._wake(child)

    def hears_retry(self, spec: ChildSpec, number: int) -> None:
        """The moment of a child's restart is there, of the one that was wanted so many times."""
        child = self._child(spec)
        if child is None or self._is_ending or self.is_over:
            return
        delay = child.delay
        if child.stage is Stage.DUE and child.restarts == number and delay is not None and not delay.fits(self._now_s()):
            after_s = self._now_s() - delay.since_s
            allowed = f"{delay.least_s:g} to {delay.most_s:g} s"
            self._break("restarts", f"{shown(spec.id)} was restarted after {after_s:g} s, and not after {allowed}")
        self._lanes.run(self._lane(spec.id), self._model.try_again(child, number))

    def hears_ask(self, message: Any) -> Ask:
        ask = Ask(message)
        if self.is_over:
            return ask
        if not self._is_ending and self._is_of_its_own_end(ask):
            self._inside.append(ask)
        elif self._is_ending or self._is_up:
            self._carry_out(ask)
        else:
            self._early.append(ask)
        return ask

    def hears_stop(self) -> None:
        self._was_told_to_stop = True

    # What it does

    def began(self, spec: ChildSpec, ref: pykka.ActorRef[Any] | None, error: BaseException | None, *, is_up: bool) -> None:
        """It has started an actor, which is up at once if it has no on_start; or the start has raised this."""
        if self.is_over:
            return
        child = self._child(spec)
        if child is not None and child.ref is not None and child.ref.is_alive():
            self._break("kinds", f"{shown(spec.id)} was started while its actor before lives")
        lane = self._lane(spec.id)
        due = self._lanes.due(lane)
        if isinstance(due, Begin) and due.child is child:
            if ref is not None:
                self._by_ref[ref] = due.child
            self._lanes.go_on(lane, (ref, error, is_up))
        else:
            self._break_by(due, "kinds", f"{shown(spec.id)} was started")

    def stopped(self, ref: pykka.ActorRef[Any]) -> None:
        """It has told the child's actor to stop."""
        if self.is_over:
            return
        child = self.child_of(ref)
        if child is None:
            return
        lane = self._lane(child.spec.id)
        due = self._lanes.due(lane)
        if isinstance(due, Stop) and due.child is child:
            self._lanes.go_on(lane)
        else:
            self._break_by(due, "strategy", f"{shown(child.spec.id)} was stopped")

    def given_up(self, ref: pykka.ActorRef[Any]) -> None:
        """It has given up the child's actor: nothing is left of that, but what it has in hand."""
        child = self.child_of(ref)
        if child is None or self.is_over:
            return
        lane = self._lane(child.spec.id)
        due = self._lanes.due(lane)
        if not isinstance(due, (GiveUp, Wait)) or due.child is not child:
            self._break_by(due, "strategy", f"{shown(child.spec.id)} was given up")
            return
        if isinstance(due, Wait) and (due.until_s is None or self._now_s() < due.until_s - EPSILON_S):
            self._break(due.rule, f"{shown(child.spec.id)} was given up before its time, at {self._now_s():g} s")
        left = _left_of(ref)
        if left is not None:
            self._break("given_up", f"{shown(child.spec.id)} was given up, and {left}")
        self._unbind(child)
        self._model.abandoned += 1
        self._lanes.go_on(lane)

    def answered(self, ask: Ask, error: BaseException | None, value: Any) -> None:
        if self.is_over:
            return
        said = told(value) if error is None else type(error).__name__
        if type(error) is InsideActor and ask.message.caller is not None:
            self._refused_inside(ask)
            return
        if ask in self._to_refuse:
            self._to_refuse.remove(ask)
            if not isinstance(error, SupervisorStopped):
                self._break("requests", f"{ask} was answered {said}, and it stops")
            return
        if ask in self._inside:
            self._break("requests", f"{ask} was answered {said}, and waits for the one who asks")
            return
        lane = self._lane(ask.message.id)
        due = self._lanes.due(lane)
        if not (isinstance(due, Answer) and due.ask is ask):
            self._break_by(due, "requests", f"{ask} was answered {said}")
        elif due.error is not (None if error is None else type(error)):
            self._break_by(due, "requests", f"it was answered {said}")
        elif error is None and value != due.value:
            self._break("views", f"{ask} was answered {said}, where {due}")
        else:
            self._lanes.go_on(lane)

    def _refused_inside(self, ask: Ask) -> None:
        """It would wait for the actor inside which it was asked."""
        if ask in self._inside:
            self._inside.remove(ask)
        elif self._home(ask) is None:
            self._break("requests", f"{ask} was refused, and was asked inside nobody who is below it")
        else:
            self._lanes.refuse(ask)

    def _home(self, ask: Ask) -> ReferenceChild | None:
        """The child inside which, or below which, it was asked."""
        lines = (self._by_ref.get(actor.actor_ref) for actor in line_of(ask.message.caller))
        return next((child for child in lines if child is not None), None)

    def _is_of_its_own_end(self, ask: Ask) -> bool:
        home = self._home(ask)
        if home is None:
            return False
        is_its_end = isinstance(ask.message, TerminateChild) and self._model.children.get(ask.message.id) is home
        return is_its_end or (home.stage is Stage.STARTING and not self._is_up)

    def begins_end(self, error: BaseException | None) -> None:
        """It stops its children, and ends: of this, or by a stop."""
        if self.is_over:
            return
        due = self._lanes.must_end
        if type(error) is not (type(None) if due is None else due.error):
            self._break_by(due, _RULES_OF_ENDS.get(type(error).__name__, "kinds"), f"it ends of {_text(error)}")
        elif error is None and not self._was_told_to_stop:
            self._break("kinds", "it stops, and was not told to")
        self._to_refuse += [*self._lanes.drop(), *self._early]
        self._early, self._is_ending, self._error = [], True, error
        self._lanes.run(_ALL, self._model.stop_all())

    def has_ended(self, error: BaseException | None) -> None:
        if self.is_over:
            return
        if not self._is_ending or type(error) is not type(self._error):
            self._break("kinds", f"it has ended of {_text(error)}")
        left = [child.spec.id for child in self._model.children.values() if child.ref is not None]
        if self._lanes or left:
            self._break("reverse_stop", f"it has ended, and {left} has not")
        self.is_over = True

    # What must be so

    def step_over(self) -> None:
        """It turns to the next message: all that was due has been done."""
        if self.is_over:
            return
        self._has_moved = True
        for due in self._lanes:
            if not isinstance(due, Wait):
                self._break_by(due, "kinds", "it goes on")
        if self._to_refuse:
            self._break("requests", f"{self._to_refuse[0]} has no answer, and it stops")
        if self._inside:
            self._break("requests", f"{self._inside[0]} was not refused, and waits for the one who asks")
        if self._is_ending and not self._lanes:
            self._break("reverse_stop", "its children are down, and it has not ended")

    def stop_answered(self) -> None:
        if not self.is_over:
            self._break("reverse_stop", "a stop was answered while it has not ended")

    def looked(self, message: Any, answer: Any) -> None:
        """It has answered a request for a view. `answer`: None where there is no such child."""
        if not self.is_over:
            phase = Stage.STOPPING if self._is_ending else Stage.UP if self._is_up else Stage.STARTING
            self._views.check(message, answer, phase.value)

    def gathered(self, tree: Tree) -> None:
        """This was made of what it said."""
        if not self.is_over:
            self._views.check_tree(tree)

    def gathered_nothing(self, error: Exception) -> None:
        """In place of a tree this came, which is right where it has ended only: else it answers at once."""
        if not self.is_over:
            self._break("views", f"tree gave {type(error).__name__}")

    def check(self, views: Callable[[], list[ChildView]]) -> None:
        """Nobody is ready. `views`: what it would say of its children."""
        if self.is_over:
            return
        for due in self._lanes:
            self._check_patience(due)
        for child in self._model.children.values():
            if child.stage is Stage.UP and child.ref is not None and not child.ref.is_alive():
                self._break("kinds", f"{shown(child.spec.id)} has ended, and nothing came of it")
            if self._is_overdue(child):
                self._break("kinds", f"{shown(child.spec.id)} has ended, and was not restarted")
        if self._has_moved:
            self._has_moved = False
            self._views.check_children(views(), "kinds")

    def _check_patience(self, due: Due | None) -> None:
        if isinstance(due, Wait) and due.until_s is not None and self._now_s() > due.until_s + EPSILON_S:
            self._break(due.rule, f"{shown(due.child.spec.id)} is {due.stage.value}, and was not given up at {due.until_s:g} s")

    def _is_overdue(self, child: ReferenceChild) -> bool:
        if child.stage is not Stage.DUE or self._is_ending or self._lane(child.spec.id) in self._lanes:
            return False
        assert child.delay is not None
        return child.delay.most_s == 0 or child.delay.is_over(self._now_s())  # what is not put off comes before all is at rest

    # What is due

    def _recover_soon(self, child: ReferenceChild) -> None:
        if self._is_up and not self._is_ending:
            self._lanes.run(self._lane(child.spec.id), self._model.recover(child))

    def _carry_out(self, ask: Ask) -> None:
        if self._is_ending or self._lanes.must_end is not None:
            self._to_refuse.append(ask)
        else:
            self._lanes.run(self._lane(ask.message.id), self._model.carry_out(ask), ask)

    def _wake(self, child: ReferenceChild) -> None:
        lane = self._lane(child.spec.id)
        self._check_patience(self._lanes.due(lane))
        self._lanes.wake(lane, child)

    def _lane(self, child_id: Any) -> Any:
        has_its_own = self._options.strategy == "one_for_one" and self._is_up and not self._is_ending
        return child_id if has_its_own else _ALL

    def _child(self, spec: ChildSpec) -> ReferenceChild | None:
        child = self._model.children.get(spec.id)
        return child if child is not None and child.spec is spec else None

    def _unbind(self, child: ReferenceChild) -> None:
        if child.ref is not None:
            del self._by_ref[child.ref]
        child.ref = None

    def _break_by(self, due: Due | None, rule: str, text: str) -> None:
        """Something else was done than was due, or nothing was."""
        if due is None:
            self._break(rule, f"{text}, and nothing was due")
        else:
            self._break(due.rule, f"{text}, where {due}")

    def _break(self, rule: str, text: str) -> None:
        if not self.is_over:
            self.is_over = True
            self._breaks(rule, text)


def _text(error: BaseException | None) -> str:
    return "a stop" if error is None else text_of(error)


def _left_of(ref: pykka.ActorRef[Any]) -> str | None:
    """What is left of an actor that was given up, and should not be: it, what waits for it, or somebody below it."""
    actor: Any = ref._actor_weakref()
    if ref.is_alive():
        return "it lives"
    had_its_end = isinstance(actor._lifecycle_exit, ExitReason)  # of itself, just before: then what it was told is kept as ever
    if not had_its_end and any(message is not STOP for message in (*actor._pooled_taken, *actor._pooled_inbox)):
        return "what waits for it was not dropped"
    witness = getattr(actor, "witness", None)
    if witness is None:
        return None
    below = [child for child in witness.children if child.ref is not None and child.ref.is_alive()]
    witness.is_over = True  # it has no part in it any more
    return f"{shown(below[0].spec.id)} below it lives" if below else None
