"""What races, thousands of times each: a supervisor answers within its deadlines, and in the end nobody is left."""

import random
from functools import partial

import pykka
import pytest
from stage import Ear, Pooled, Stage, Threaded, in_phase, raiser, ref_of, settled, views

from lightspeed.actors import Shutdown, watch
from lightspeed.actors.errors import ChildError, LightspeedError, StartFailed, SupervisorStopped

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# A tenth of them runs with the rest of the suite, all of them with `pytest -m long`.
TRIALS = [pytest.param(400, id="some"), pytest.param(4000, id="all", marks=pytest.mark.long)]
ANSWER_S = 20
HOOKS = ["on_start", "on_stop", "on_failure", "on_end"]
ERRORS = [ValueError, SystemExit, Shutdown]


class Ends(Pooled):
    """Says of each of its actors when all its hooks are over."""

    def on_end(self, _error):
        self.play("on_end")


class ThreadedEnds(Threaded):
    def on_end(self, _error):
        self.play("on_end")


@pytest.fixture
def stage():
    stage = Stage(Ends)
    yield stage
    stage.close()


def tell(ref, message):
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        pass  # something else was quicker


def all_ended(stage):
    """Every actor that was started has ended, by the book; then the book begins again."""
    for name in set(stage.book.of("on_start")):
        stage.book.wait_for("on_end", name, count=stage.book.of("on_start").count(name))
    assert len(stage.book.of("on_start")) == len(stage.book.of("on_end"))
    stage.book.lines.clear()


def answer_to(call):
    """What it says within its time: an answer, or an error of ours."""
    try:
        return call()
    except (ChildError, StartFailed, SupervisorStopped) as error:
        return error


@pytest.mark.parametrize("trials", TRIALS)
def test_stops_race_with_crashes(stage, trials):
    rng = random.Random(1)
    for _ in range(trials):
        sup = stage.start("a", "b", strategy=rng.choice(["one_for_one", "one_for_all", "rest_for_one"]), intensity=3)
        refs = [view.ref for view in sup.which_children()]
        for _ in range(rng.randrange(3)):
            tell(rng.choice(refs), raiser(rng.choice(ERRORS)()))
        sup.stop(timeout=ANSWER_S)
        assert not sup.is_alive()
        all_ended(stage)


@pytest.mark.parametrize("trials", TRIALS)
def test_requests_race_with_crashes(stage, trials):
    """Each of OTP's calls, on a child that is being crashed."""
    rng = random.Random(2)
    sup = stage.start("a", "b", intensity=10**6, period_s=1e-6)
    calls = [
        lambda: sup.terminate_child("a", timeout_s=ANSWER_S),
        lambda: sup.restart_child("a", timeout_s=ANSWER_S),
        lambda: sup.delete_child("a", timeout_s=ANSWER_S),
        lambda: sup.start_child(stage.spec("a"), timeout_s=ANSWER_S),
    ]
    for _ in range(trials):
        ref = views(sup).get("a") and ref_of(sup, "a")
        if ref is not None:
            tell(ref, raiser(rng.choice(ERRORS)()))
        for call in rng.choices(calls, k=2):
            answer_to(call)
    assert views(sup)["b"].phase == "running"
    assert stage.book.of("on_start").count("b") == 1
    sup.stop(timeout=ANSWER_S)
    all_ended(stage)


@pytest.mark.parametrize("trials", TRIALS)
def test_asks_race_with_crashes_and_are_all_answered(stage, trials):
    sup = stage.start("a", intensity=10**6, period_s=1e-6)
    for _ in range(trials):
        stage.book.wait_for("on_start", "a")
        stage.book.lines.clear()
        stage.clock.advance(1)
        ref = in_phase(sup, "a", "running").ref
        asked = [ref.ask(number, block=False) for number in range(3)]
        tell(ref, raiser(ValueError("planted")))
        asked += [ref.ask(number, block=False) for number in range(3)]
        for future in asked:
            answer_of(future)


def answer_of(future):
    try:
        future.get(timeout=ANSWER_S)
    except pykka.ActorDeadError:
        pass


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("trials", TRIALS)
def test_crashes_in_each_hook(stage, hook, trials):
    rng = random.Random(3)
    for _ in range(trials // 4):
        sup, ear = stage.start("a", "b", strategy=rng.choice(["one_for_one", "one_for_all"]), intensity=2), Ear()
        watch(sup, ear)
        ref = ref_of(sup, "a")
        stage.fail("a", hook, rng.choice(ERRORS)("planted"))
        ref.stop(block=False) if rng.random() < 0.5 else tell(ref, raiser(ValueError("planted")))
        if hook == "on_start":
            ear.next()  # no restart can succeed
            assert not sup.is_alive()
        else:
            assert sup.count_children(timeout_s=ANSWER_S).specs == 2
        stage.script.clear()
        sup.stop(timeout=ANSWER_S)
        stage.book.lines.clear()


@pytest.mark.parametrize("trials", TRIALS)
def test_crashes_during_a_restart(stage, trials):
    """Whoever is there, of three, crashes while others are restarted."""
    rng = random.Random(4)
    for number in range(trials):
        strategy = ["one_for_one", "one_for_all", "rest_for_one"][number % 3]
        sup = stage.start("a", "b", "c", strategy=strategy, intensity=100)
        for _ in range(4):
            for view in views(sup).values():
                if view.ref is not None and rng.random() < 0.5:
                    tell(view.ref, raiser(rng.choice(ERRORS)()))
        assert {view.phase for view in settled(sup).values()} == {"running"}
        sup.stop(timeout=ANSWER_S)
        all_ended(stage)


@pytest.mark.parametrize("hook", ["on_start", "on_stop", "on_receive"])
@pytest.mark.parametrize("trials", TRIALS)
def test_a_child_that_blocks_for_ever(stage, hook, trials):
    """Others are served at once; what concerns the child is over at its deadline; and so is a stop of all."""
    for number in range(trials // 10):
        sup = stage.start("a", start_timeout_s=5)
        starting = None
        if hook == "on_start":
            go_on = stage.hold("b", "on_start")
            starting = stage.soon(answer_to, lambda sup=sup: sup.start_child(stage.spec("b"), timeout_s=ANSWER_S))
            in_phase(sup, "b", "starting")
        else:
            ref = sup.start_child(stage.spec("b"))
            go_on = stage.hold("b", "on_stop")
            if hook == "on_receive":
                ref.tell(lambda go_on=go_on: go_on.wait(60))
            starting = stage.soon(answer_to, lambda sup=sup: sup.terminate_child("b", timeout_s=ANSWER_S))
            in_phase(sup, "b", "stopping")
        assert sup.count_children(timeout_s=ANSWER_S).active == 2
        sup.terminate_child("a", timeout_s=ANSWER_S)
        if number % 2:
            stage.clock.advance(5)
            answer = starting.result(ANSWER_S)
            assert isinstance(answer, StartFailed) if hook == "on_start" else answer is None
            assert sup.count_children(timeout_s=ANSWER_S).abandoned == 1
            sup.stop(timeout=ANSWER_S)
        else:
            stopping = sup.stop(block=False)
            in_phase(sup, "b", "stopping")
            assert isinstance(starting.result(ANSWER_S), SupervisorStopped)
            stage.clock.advance(5)
            assert stopping.get(timeout=ANSWER_S)
        go_on.set()
        stage.script.clear()
        all_ended(stage)


@pytest.mark.parametrize("trials", TRIALS)
def test_threaded_children_race_too(trials):
    stage = Stage(ThreadedEnds)
    rng = random.Random(5)
    for _ in range(trials // 4):
        sup = stage.start("a", "b", strategy=rng.choice(["one_for_one", "one_for_all", "rest_for_one"]), intensity=3)
        refs = [view.ref for view in sup.which_children()]
        for _ in range(rng.randrange(3)):
            tell(rng.choice(refs), raiser(rng.choice(ERRORS)()))
        answer_to(lambda sup=sup: sup.terminate_child("a", timeout_s=ANSWER_S))
        sup.stop(timeout=ANSWER_S)
        all_ended(stage)
    stage.close()


@pytest.mark.parametrize("trials", TRIALS)
def test_trees_race_too(stage, trials):
    """A supervisor that gives up races with its own stop by the one above."""
    rng = random.Random(6)
    for _ in range(trials // 4):
        top = stage.start(
            stage.spec_of_supervisor("one", "a", "b", intensity=0), stage.spec_of_supervisor("two", "c"), intensity=2
        )
        ones = ref_of(top, "one")
        try:
            tell(ref_of(ones, rng.choice("ab")), raiser(ValueError("planted")))
        except LightspeedError:
            pass
        if rng.random() < 0.5:
            answer_to(partial(top.terminate_child, "one"))
        top.stop(timeout=ANSWER_S)
        all_ended(stage)
