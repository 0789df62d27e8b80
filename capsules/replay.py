"""A capsule's failure, again: in a process of its own, since this runs the code that is in the capsule.

What a topic handled is kept as steps: values that can be done again. An event is its own step. A step that is done again changes
the state as it did, and gives out nothing that anybody sees. `replay` starts the process and judges what it says; `main` is what
runs there. The two talk in one line of JSON.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
from typing import Any

import msgspec
from msgspec import Struct

from lightspeed.actors.coroutines import ActorCoroutine, raised_in
from lightspeed.actors.errors import InvalidCapsule
from lightspeed.actors.text import escaped, shown
from lightspeed.actors.topics.mail import Delivery, Mail, RestoreMembers, TimerDue
from lightspeed.actors.topics.rules.behaved_topic import Awaited, BehavedTopic, Given, Steps, finish
from lightspeed.actors.topics.rules.events import Rejoin, TopicEvent, event_label
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.capsules.capsule import Failure, minor
from lightspeed.capsules.file import KEY, Capsule
from lightspeed.capsules.pickler import unpickled
from lightspeed.capsules.redaction import Censor
from lightspeed.capsules.told import Raised


class TimerStep(Struct, frozen=True):
    """A timer was due."""

    name: str
    counts: bool
    """Whether it was the one that counted: it had not been started anew meanwhile."""


class RejoinStep(Struct, frozen=True):
    """Members were brought back."""

    rejoins: tuple[Rejoin, ...]


class StopStep(Struct, frozen=True):
    """The topic was stopped."""


class OtherStep(Struct, frozen=True):
    """Something that changes no state: a question, an order, or what no topic knows."""

    name: str


Step = TopicEvent | TimerStep | RejoinStep | StopStep | OtherStep


def step_of(mail: Mail | Any, state: TopicState) -> Step:
    """What the state is about to do."""
    if type(mail) is Delivery:
        return mail.request
    if type(mail) is RestoreMembers:
        return RejoinStep(mail.rejoins)
    if type(mail) is TimerDue:
        return TimerStep(mail.name, isinstance(state, BehavedTopic) and state._timers.get(mail.name) is mail.key)
    return OtherStep(type(mail).__name__.lower())


def label_of(step: Step | None) -> str:
    """What it is called; None: it had nothing to do yet."""
    match step:
        case None:
            return "nothing yet"
        case TimerStep():
            return f"timer {step.name if type(step.name) is str else shown(step.name)}"
        case RejoinStep():
            return "return of members"
        case StopStep():
            return "stop"
        case OtherStep():
            return step.name
    return event_label(step)


def do(state: TopicState, step: Step) -> None:
    """Do it again. What comes out of it is dropped.

    Raises:
        BaseException: whatever the behaviour's code raises.
    """
    match step:
        case OtherStep():
            return
        case TimerStep():
            assert isinstance(state, BehavedTopic)
            _finish(state.ringing(step.name, state._timers.get(step.name) if step.counts else object()))
        case RejoinStep():
            if isinstance(state, BehavedTopic):
                _finish(state.replaying(step.rejoins))
            else:
                state.replay(step.rejoins)
        case StopStep():
            assert isinstance(state, BehavedTopic)
            _finish(state.ending())
        case _ if isinstance(state, BehavedTopic):
            _finish(state.handling(step))
        case _:
            state.handle(step)
    if isinstance(state, BehavedTopic):
        state.take_timers()  # nobody starts them: those that rang are steps


def _finish(steps: Steps[Given]) -> Given:
    with asyncio.Runner() as runner:  # it makes a loop where there is a coroutine

        def run(awaited: Awaited) -> Any:
            try:
                return runner.run(ActorCoroutine(awaited.coroutine, None, awaited.turn))
            except BaseException as error:
                raise raised_in(error) from None

        return finish(steps, run)


class ReplayOutcome(msgspec.Struct, frozen=True):
    """What came of it."""

    failure: Failure | None
    """What was raised; None: nothing, or it did not get so far."""
    at: int = 0
    """At which step, counted from 1."""
    of: int = 0
    """How many steps there are; the last one is that which failed."""
    on: str = ""
    """What kind of step it was."""
    broken: str = ""
    """Why it could not be loaded; empty: it could."""


def replay(capsule: Capsule, timeout_s: float) -> ReplayOutcome:
    """Do again what led to the failure, in another process.

    Args:
        timeout_s: after this many seconds the process is killed; the failure is then that it is stuck.

    Raises:
        InvalidCapsule: it can't be replayed by this Python, or at all.
    """
    header = capsule.header
    here = platform.python_version()
    if header.minor_python != minor(here):
        python, minor_python = escaped(header.python), escaped(header.minor_python)
        reason = f"it was written by Python {python}, whose code Python {here} can't load: replay it with {minor_python}"
        raise InvalidCapsule(capsule.source, reason)
    if header.snapshot.startswith("none"):
        raise InvalidCapsule(capsule.source, f"it holds no state to begin with: {escaped(header.snapshot, None)}")
    return _in_another_process(capsule.state, capsule.steps, timeout_s, {})


def why_not_loaded(state: bytes, timeout_s: float) -> str:
    """Why another process can't load the state, in words; empty: it can, or that can't be tried here."""
    if not sys.executable:
        return ""
    try:
        # A session of its own: a Ctrl-C is not meant for it.
        outcome = _in_another_process(state, b"", timeout_s, {"stderr": subprocess.DEVNULL, "start_new_session": True})
    except (OSError, RuntimeError):  # no process can be started, or not any more
        return ""
    return outcome.broken or ("" if outcome.failure is None else outcome.failure.text)


def _in_another_process(state: bytes, steps: bytes, timeout_s: float, options: dict[str, Any]) -> ReplayOutcome:
    """Load the state and do the steps; only load it, where there are none."""
    order = msgspec.json.encode({"state": len(state), "steps": len(steps)})
    environment = {name: value for name, value in os.environ.items() if name != KEY}
    # -P: what lies in the working directory is not imported in place of what it is named after.
    command = [sys.executable, "-P", "-c", "from lightspeed.capsules.replay import main; main()"]
    given = order + b"\n" + state + steps
    try:
        done = subprocess.run(
            command, input=given, stdout=subprocess.PIPE, timeout=timeout_s, check=False, env=environment, **options
        )
    except subprocess.TimeoutExpired:
        return ReplayOutcome(Failure("lightspeed.actors.errors.TopicStuck", f"it did not end within {timeout_s:g} s", stuck=True))
    try:
        return msgspec.json.decode(done.stdout.rpartition(b"\n")[2], type=ReplayOutcome)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ReplayOutcome(Failure("SystemExit", f"the process ended by itself, with status {done.returncode}"))


def main() -> None:
    """Read a state and steps from standard input, do them, and write an `ReplayOutcome` to standard output."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the capsule's code prints is no answer
    sizes = json.loads(sys.stdin.buffer.readline())
    state, steps = sys.stdin.buffer.read(sizes["state"]), sys.stdin.buffer.read(sizes["steps"])
    held: list[Any] = []  # until the process has ended: a `__del__` may do something that can't be undone
    outcome = run(state, steps, held)
    with told:
        told.write(b"\n" + msgspec.json.encode(outcome))
    try:
        sys.stdout.flush()
    finally:
        os._exit(0)  # threads of the capsule's hold it up no more


def run(state: bytes, steps: bytes, held: list[Any] | None = None) -> ReplayOutcome:
    """Load and do them, in this process. What was loaded is put into `held`."""
    try:
        topic, since, failed_on = unpickled(steps) if steps else ("", (), None)
        topic_state: TopicState = unpickled(state) if state else TopicState(topic)
        if held is not None:
            held.append(topic_state)
    except BaseException as error:  # the capsule's code: whatever it raises is an answer
        return ReplayOutcome(None, broken=_in_short(error))
    todo: list[Step] = [*since, *([] if failed_on is None else [failed_on])]
    for number, step in enumerate(todo, 1):
        try:
            do(topic_state, step)
        except BaseException as error:  # the same
            return ReplayOutcome(Raised(error, skip=1).failure(Censor(())), number, len(todo), label_of(step))
    return ReplayOutcome(None, len(todo), len(todo))


def _in_short(error: BaseException) -> str:
    failure = Raised(error).failure(Censor(()))
    return f"{failure.type}: {failure.text}"


def difference(capsule: Capsule, outcome: ReplayOutcome) -> str:
    """In which way it went otherwise, in words; empty: it is the same failure."""
    then, now = capsule.header.failure, outcome.failure
    if now is None:
        return f"it raised nothing in {outcome.of} steps; then it was {_shown(then)}"
    if not then.is_as(now):
        return f"at step {outcome.at} of {outcome.of} ({outcome.on}) it was {_shown(now)}; then it was {_shown(then)}"
    if outcome.at != outcome.of:
        return f"it failed in the same way, but at step {outcome.at} of {outcome.of} ({outcome.on})"
    return ""


def _shown(failure: Failure) -> str:
    return escaped(f"{failure.type}: {failure.text}", None)
