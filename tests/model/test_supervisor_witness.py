"""Each rule for supervisors is broken once, by a supervisor with a bug, and the right one is named."""

from functools import partial
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from lightspeed.actors.errors import ChildError, InsideActor, StartFailed
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.ref import PooledHandle
from lightspeed.actors.stopping import give_up, stop_soon
from lightspeed.supervision import Backoff, ChildSpec, RestartWindow, Supervisor
from lightspeed.supervision import child_jobs as product
from lightspeed.supervision import supervisor as product_supervisor
from lightspeed.supervision.child_jobs import ChildJobs
from lightspeed.supervision.children import ChildTable
from lightspeed.supervision.messages import DeleteChild, RestartChild, StartChild, TerminateChild, WhichChildren
from lightspeed.supervision.steps import ChildSteps
from lightspeed.testing import Case, play
from lightspeed.testing.workers import LateStopping, SlowStart, SlowStop, Starting, Starts, StuckStart, StuckStop, TreeWorker

JUMP = Backoff(floor_s=1.0, cap_s=4.0, jitter=0.0)


def child(simulation, name, worker=TreeWorker, **options):
    return ChildSpec(name, (worker, (Starts(),), {"pool": simulation.pool}), **options)


def supervisor(simulation, worker=TreeWorker, names="abc", *, kind="permanent", significant=False, shutdown_s=None, **options):
    of_all = {"kind": kind, "significant": significant, "shutdown_s": shutdown_s}
    return simulation.supervisor([child(simulation, name, worker, **of_all) for name in names], **options)


def tell(ref, message, *names):
    for name in names:
        actor = ref.which_child(name).ref
        if actor is not None:
            actor.tell(message)


def one_is_told(simulation, message="fail", times=1, **options):
    """The one in the middle, every second."""
    ref = supervisor(simulation, **{"intensity": 3, **options})
    for _ in range(times):
        tell(ref, message, "b")
        simulation.run_for(1.0)
    simulation.run_for(10.0)


def all_are_told(simulation, message="end", **options):
    ref = supervisor(simulation, **options)
    tell(ref, message, *"abc")
    simulation.run_for(10.0)


def it_is_asked(simulation, strategy="one_for_one"):
    """For all that it can be asked for."""
    ref = supervisor(simulation, LateStopping, strategy=strategy)
    for call in (
        lambda: ref.start_child(child(simulation, "d", Starting)),
        lambda: ref.start_child(child(simulation, "d")),
        lambda: ref.restart_child("d"),
        lambda: ref.delete_child("d"),
        lambda: ref.terminate_child("d"),
        lambda: ref.restart_child("d"),
        lambda: ref.terminate_child("d"),
        lambda: ref.delete_child("d"),
        lambda: ref.terminate_child("e"),
        ref.which_children,
        ref.count_children,
        ref.tree,
    ):
        try:
            call()
        except ChildError:
            pass
        simulation.run()


def it_is_asked_and_stopped(simulation):
    ref = supervisor(simulation, SlowStop)
    for request in (TerminateChild("b"), DeleteChild("b")):
        ref.ask(request, block=False)
    simulation.run_for(0.5)
    ref.stop(block=False)
    simulation.run_for(10.0)


def it_is_asked_early(simulation):
    ref = simulation.begin_supervisor([child(simulation, "a", SlowStart)])
    ref.ask(TerminateChild("a"), block=False)
    simulation.run_for(10.0)


def one_is_stuck(simulation, worker=StuckStop):
    ref = supervisor(simulation)
    try:
        ref.start_child(child(simulation, "d", worker, shutdown_s=1.0))
    except StartFailed:
        pass
    ref.terminate_child("b")
    ref.stop(block=False)
    simulation.run_for(10.0)


def one_is_killed(simulation):
    """With work to do."""
    ref = supervisor(simulation, shutdown_s="brutal_kill")
    tell(ref, "work", "b", "b", "b")
    ref.terminate_child("b")
    simulation.run_for(1.0)


class Weary(TreeWorker):
    """It asks its supervisor for its own end."""

    def on_receive(self, message):
        try:
            message.terminate_child("a")
        except InsideActor:
            pass


def one_asks_for_its_own_end(simulation):
    ref = supervisor(simulation, Weary)
    tell(ref, ref, "a")
    simulation.run_for(1.0)


def a_branch_is_stuck(simulation):
    """Its last child does not stop: it is given up, with the others below it."""
    below = [child(simulation, "x"), child(simulation, "y", StuckStop, shutdown_s="infinity")]
    ref = simulation.supervisor([ChildSpec("branch", (Supervisor, (below,), {}), shutdown_s=1.0)])
    ref.terminate_child("branch")
    simulation.run_for(20.0)


class StuckLater(StuckStart):
    """But for the first of them."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.is_starting = self.number == 1


def one_does_not_come_up_again(simulation):
    """Each try takes longer than the quiet time of its backoff."""
    backoff = Backoff(floor_s=1.0, cap_s=8.0, jitter=0.0, quiet_s=2.0)
    ref = simulation.supervisor([child(simulation, "b", StuckLater)], intensity=9, period_s=600.0, backoff=backoff)
    tell(ref, "fail", "b")
    simulation.run_for(40.0)


def quiet_from_the_try(next):
    def next_delay(backoff, state, now_s, randomness):
        delay_s, state = next(backoff, state, now_s, randomness)
        return delay_s, state.up(now_s + delay_s)

    return next_delay


def broken(owner, name, make):
    """A patch by a function that is made of the one that it replaces."""
    return patch.object(owner, name, make(getattr(owner, name)))


def rule(name, value):
    """A patch of what the supervisor goes by."""
    return patch.object(product, name, lambda *args, **options: value(*args, **options) if callable(value) else value)


def does(request, steps):
    return patch.dict(product.JOBS, {request: steps})


def forwards(supervisor):
    for child in list(supervisor._table):
        yield from supervisor._jobs.stop(child)


def tells_all_to_stop(supervisor):
    for child in list(supervisor._table):
        if child.ref is not None:
            stop_soon(child.ref)
    return
    yield


def nothing(requests, message):
    return
    yield


def forgets(requests, message):
    child = requests.find(message)
    child.ref = None
    requests._table.remove(child)
    return
    yield


def starts_another(requests, message):
    ref = yield from ChildJobs._add(requests, message)
    assert ref is not None
    return next(iter(requests._table)).ref


def answers_at_once(answer):
    def say_that_it_has_stopped(supervisor, envelope):
        if isinstance(envelope.message, type(STOP)):
            envelope.reply_to.set(None)
        answer(supervisor, Envelope(envelope.message) if isinstance(envelope.message, type(STOP)) else envelope)

    return say_that_it_has_stopped


def backwards(supervisor, message):
    return supervisor._table.views()[::-1]


def twice(counts):
    return lambda table: replace(counts(table), specs=2 * len(list(table)))


def impatient(wait):
    return lambda steps, child, timeout_s: wait(steps, child, timeout_s and timeout_s / 2)


def patient(wait):
    return lambda steps, child, timeout_s: wait(steps, child, None)


BROKEN = {
    "a permanent child that is not restarted": (
        "kinds",
        "'b' has ended, and was not restarted",
        one_is_told,
        lambda: rule("should_restart", False),
    ),
    "a transient one that is restarted after its stop": (
        "kinds",
        "'b' was started, and nothing was due",
        partial(one_is_told, message="end", kind="transient"),
        lambda: rule("should_restart", True),
    ),
    "a temporary one that is not forgotten": (
        "kinds",
        "its children are",
        partial(one_is_told, kind="temporary"),
        lambda: patch.object(ChildSteps, "forget_temporary", lambda steps, child: None),
    ),
    "an end of which nothing comes": (
        "kinds",
        "'b' has ended, and was not restarted",
        one_is_told,
        lambda: patch.object(Supervisor, "_recover_soon", lambda supervisor, child: None),
    ),
    "a second actor beside the first": (
        "kinds",
        "'d' was started while its actor before lives",
        it_is_asked,
        lambda: patch.object(product, "_refuse_active", lambda child: None),
    ),
    "a supervisor that fails of itself": (
        "kinds",
        "it ends of KeyError",
        one_is_told,
        lambda: rule("restarted_with", lambda *_: {}["nobody"]),
    ),
    "one for all, but one": (
        "strategy",
        "'a' was to be stopped",
        partial(one_is_told, strategy="one_for_all"),
        lambda: rule("restarted_with", lambda strategy, children, ended: [c for c in children if c.spec.id != "a"]),
    ),
    "rest for one, but all": (
        "strategy",
        "'a' was stopped",
        partial(one_is_told, strategy="rest_for_one"),
        lambda: rule("restarted_with", lambda strategy, children, ended: list(children)),
    ),
    "others who are stopped in the order of their start": (
        "strategy",
        "'a' was stopped, where 'c' was to be stopped",
        partial(one_is_told, strategy="one_for_all"),
        lambda: patch.object(product, "reversed", list, create=True),
    ),
    "more restarts than are allowed": (
        "restarts",
        "it was to end of RestartsExceeded",
        partial(one_is_told, times=4),
        lambda: patch.object(RestartWindow, "allow", lambda window, now_s: True),
    ),
    "fewer restarts than are allowed": (
        "restarts",
        "it ends of RestartsExceeded",
        one_is_told,
        lambda: patch.object(RestartWindow, "allow", lambda window, now_s: False),
    ),
    "a backoff that is cut short": (
        "restarts",
        "'b' was restarted after 0.5 s, and not after 1 to 1 s",
        partial(one_is_told, backoff=JUMP),
        lambda: broken(Backoff, "next", lambda next: lambda *args: (0.5, next(*args)[1])),
    ),
    "a backoff that takes a slow start for a quiet time": (
        "restarts",
        "'b' was restarted after 1 s, and not after 2 to 2 s",
        one_does_not_come_up_again,
        lambda: broken(Backoff, "next", quiet_from_the_try),
    ),
    "a significant child that ends nothing": (
        "significance",
        "it was to end of Shutdown",
        partial(all_are_told, kind="transient", significant=True, auto_shutdown="all_significant"),
        lambda: rule("shuts_down", False),
    ),
    "one that ends all, where others run": (
        "significance",
        "it ends of Shutdown",
        partial(one_is_told, message="end", kind="transient", significant=True, auto_shutdown="all_significant"),
        lambda: rule("shuts_down", True),
    ),
    "an end in the order of the start": (
        "reverse_stop",
        "'a' was stopped, where 'c' was to be stopped",
        one_is_told,
        lambda: patch.object(Supervisor, "_stop_all", forwards),
    ),
    "an end that leaves somebody": (
        "reverse_stop",
        "it has ended, and ['a', 'b', 'c'] has not",
        one_is_told,
        lambda: patch.object(Supervisor, "_stop_all", lambda supervisor: iter(())),
    ),
    "one who is given up before his time": (
        "reverse_stop",
        "'d' was given up before its time",
        one_is_stuck,
        lambda: broken(ChildSteps, "_wait", impatient),
    ),
    "one who is never given up": (
        "reverse_stop",
        "'d' is stopping, and was not given up",
        one_is_stuck,
        lambda: broken(ChildSteps, "_wait", patient),
    ),
    "a start that is never given up": (
        "requests",
        "'d' is starting, and was not given up",
        partial(one_is_stuck, worker=StuckStart),
        lambda: broken(ChildSteps, "_wait", patient),
    ),
    "a stop that is answered at once": (
        "reverse_stop",
        "a stop was answered while it has not ended",
        one_is_stuck,
        lambda: broken(Supervisor, "_lifecycle_answer", answers_at_once),
    ),
    "a termination in words": (
        "requests",
        "where 'd' was to be stopped",
        it_is_asked,
        lambda: does(TerminateChild, nothing),
    ),
    "a running child that is deleted": (
        "requests",
        "it was answered None, where DeleteChild of 'd' was to be answered ChildRunning",
        it_is_asked,
        lambda: does(DeleteChild, forgets),
    ),
    "one who may wait for his own end": (
        "strategy",
        "'a' was stopped, and nothing was due",
        one_asks_for_its_own_end,
        lambda: patch.object(Supervisor, "_waits_for", lambda supervisor, child, message: False),
    ),
    "requests that are dropped without a word": (
        "requests",
        "has no answer, and it stops",
        it_is_asked_and_stopped,
        lambda: patch("lightspeed.supervision.jobs.fail", lambda reply, error: None),
    ),
    "early requests that are lost": (
        "requests",
        "where 'a' was to be stopped",
        it_is_asked_early,
        lambda: patch.object(Supervisor, "_answer_early", lambda supervisor: supervisor._early.clear()),
    ),
    "one who is given up in words": (
        "given_up",
        "'b' was given up, and it lives",
        one_is_killed,
        lambda: patch.object(Supervisor, "_give_up", lambda supervisor, ref: PooledHandle(ref._actor).stop_soon()),
    ),
    "one who is given up, and what waits for him is kept": (
        "given_up",
        "'b' was given up, and what waits for it was not dropped",
        one_is_killed,
        lambda: patch.object(PooledHandle, "drain", lambda handle: []),
    ),
    "a branch that is given up, and leaves somebody": (
        "given_up",
        "'branch' was given up, and 'x' below it lives",
        a_branch_is_stuck,
        lambda: patch.object(Supervisor, "_give_up", lambda supervisor, ref: give_up(ref)),
    ),
    "one who is killed, and told to stop": (
        "reverse_stop",
        "'a' was stopped, where 'c' was to be given up",
        one_is_killed,
        lambda: patch.object(Supervisor, "_stop_all", tells_all_to_stop),
    ),
    "children shown in another order": (
        "views",
        "and not in this order: ['a', 'b', 'c']",
        it_is_asked,
        lambda: patch.dict(product_supervisor._HANDLERS, {WhichChildren: backwards}),
    ),
    "another one's actor for an answer": (
        "views",
        "was answered",
        it_is_asked,
        lambda: does(StartChild, starts_another),
    ),
    "children who are counted twice": (
        "views",
        "count_children says",
        it_is_asked,
        lambda: broken(ChildTable, "counts", twice),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_is_broken_is_named(name):
    invariant, text, scenario, bug = BROKEN[name]
    with bug():
        found = [outcome for outcome in (play(Case(scenario, seed)) for seed in range(4)) if outcome.error is not None]
    assert {outcome.failure for outcome in found} == {invariant}
    assert text in str(found[0].error)


def two_are_started_early(simulation):
    """The first of them when something else that concerns it has been answered."""
    ref = simulation.begin_supervisor([child(simulation, "a", SlowStart)])
    for request in (RestartChild("d"), StartChild(child(simulation, "d")), StartChild(child(simulation, "e"))):
        ref.ask(request, block=False)
    simulation.run_for(10.0)
    assert [view.id for view in ref.which_children()] == ["a", "d", "e"]


@pytest.mark.parametrize("scenario", [*dict.fromkeys(row[2] for row in BROKEN.values()), two_are_started_early])
def test_without_a_bug_none_is_broken(scenario):
    for seed in range(4):
        assert play(Case(scenario, seed)).error is None
