"""A capsule's failure, again: in a process of its own, since this runs the code that is in the capsule.

`replay` starts the process and judges what it says; `main` is what runs there. The two talk in one line of JSON.
"""

import json
import os
import platform
import subprocess
import sys
import traceback

import msgspec

from lightspeed.actors.errors import InvalidCapsule
from lightspeed.actors.topic import TopicState
from lightspeed.supervision.capsules.capsule import Failure, failure_of, minor
from lightspeed.supervision.capsules.capsule_file import KEY, Capsule
from lightspeed.supervision.capsules.capsule_pickle import unpickled
from lightspeed.supervision.capsules.steps import Step, do, label_of


class Outcome(msgspec.Struct, frozen=True):
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


def replay(capsule: Capsule, timeout_s: float) -> Outcome:
    """Do again what led to the failure, in another process.

    Args:
        timeout_s: after this many seconds the process is killed; the failure is then that it is stuck.

    Raises:
        InvalidCapsule: it can't be replayed by this Python, or at all.
    """
    header = capsule.header
    here = platform.python_version()
    if header.minor_python != minor(here):
        reason = (
            f"it was written by Python {header.python}, whose code Python {here} can't load: replay it with {header.minor_python}"
        )
        raise InvalidCapsule(capsule.source, reason)
    if header.snapshot.startswith("none"):
        raise InvalidCapsule(capsule.source, f"it holds no state to begin with: {header.snapshot}")
    order = msgspec.json.encode({"state": len(capsule.state), "steps": len(capsule.steps)})
    environment = {name: value for name, value in os.environ.items() if name != KEY}
    # -P: what lies in the working directory is not imported in place of what it is named after.
    command = [sys.executable, "-P", "-c", "from lightspeed.supervision.capsules.capsule_replay import main; main()"]
    try:
        done = subprocess.run(
            command,
            input=order + b"\n" + capsule.state + capsule.steps,
            stdout=subprocess.PIPE,
            timeout=timeout_s,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return Outcome(Failure("lightspeed.actors.errors.TopicStuck", f"it did not end within {timeout_s:g} s", stuck=True))
    try:
        return msgspec.json.decode(done.stdout.rpartition(b"\n")[2], type=Outcome)
    except msgspec.DecodeError:
        return Outcome(Failure("SystemExit", f"the process ended by itself, with status {done.returncode}"))


def main() -> None:
    """Read a state and steps from standard input, do them, and write an `Outcome` to standard output."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the capsule's code prints is no answer
    sizes = json.loads(sys.stdin.buffer.readline())
    state, steps = sys.stdin.buffer.read(sizes["state"]), sys.stdin.buffer.read(sizes["steps"])
    outcome = run(state, steps)
    with told:
        told.write(b"\n" + msgspec.json.encode(outcome))
    sys.stdout.flush()
    os._exit(0)  # threads of the capsule's hold it up no more


def run(state: bytes, steps: bytes) -> Outcome:
    """Load and do them, in this process."""
    try:
        topic, since, failed_on = unpickled(steps)
        topic_state: TopicState = unpickled(state) if state else TopicState(topic)
    except BaseException as error:  # the capsule's code: whatever it raises is an answer
        return Outcome(None, broken=_in_short(error))
    todo: list[Step] = [*since, *([] if failed_on is None else [failed_on])]
    for number, step in enumerate(todo, 1):
        try:
            do(topic_state, step)
        except BaseException as error:  # the same
            return Outcome(failure_of(error, _below_here(error)), number, len(todo), label_of(step))
    return Outcome(None, len(todo), len(todo))


def _below_here(error: BaseException) -> str:
    """The traceback, without the frames of this file."""
    place = error.__traceback__
    try:
        return "".join(traceback.format_exception(type(error), error, place and place.tb_next))
    except Exception:  # the user's code: an exception that can't be shown
        return "".join(traceback.format_tb(place))


def _in_short(error: BaseException) -> str:
    failure = failure_of(error)
    return f"{failure.type}: {failure.text}"


def difference(capsule: Capsule, outcome: Outcome) -> str:
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
    return f"{failure.type}: {failure.text}"
