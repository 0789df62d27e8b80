"""A run as a file: a line of JSON with all that it hung on, and then its trace, line by line. It can be played again."""

from collections.abc import Callable
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.failures import text_of
from lightspeed.actors.text import escaped
from lightspeed.channel import FaultPlan
from lightspeed.testing.case import Case, Outcome, Play, play
from lightspeed.testing.scenario import Scenario, name_of
from lightspeed.testing.scenario import find as find_by_name
from lightspeed.testing.trace import Trace

_FORMAT = 2

LONGEST_HEADER = 16 * 1024 * 1024
"""So many bytes the first line may have. Scenario, plan and choices stand in it."""

LARGEST = 256 * 1024 * 1024
"""So many bytes there may be behind it: a file without an end is not to fill the memory."""


class Recording(Struct, frozen=True):
    """What is in a file."""

    lightspeed_trace: int
    """The version of the format."""
    version: str
    """Of the library that wrote it."""
    hash: str
    """Of the trace."""
    seed: int
    choices: tuple[int, ...]
    error: str | None
    """What the run failed of, in words."""
    scenario: Any = None
    """As `Scenario.to_json`; None: it was a function."""
    play: str | None = None
    """The function, as `module:name`, or a test, as pytest calls it (`tests/test_room.py::test_join`)."""
    skip: tuple[int, ...] = ()
    plan: Any = None
    """As `FaultPlan.to_json`; None: there was none."""


class Divergence(Struct, frozen=True):
    """Where a run went another way than the one that was recorded."""

    line: int
    """Of the trace, from 1."""
    recorded: str | None
    """None: it had ended."""
    again: str | None

    def __str__(self) -> str:
        lines = [(" recorded", self.recorded), ("this time", self.again)]
        texts = [f"  {which}: {'nothing more' if line is None else _shown(line)}" for which, line in lines]
        return "\n".join([f"it goes another way at line {self.line} of the trace:", *texts])


class Replayed(Struct, frozen=True):
    """What came of playing a recording again."""

    outcome: Outcome
    divergence: Divergence | None
    """None: it went the same way, to the letter."""


def write_recording(outcome: Outcome, path: str | Path, *, play_name: str | None = None) -> None:
    """Write the run down.

    Args:
        path: of the file; an existing one is replaced.
        play_name: of a play that is to be found otherwise than as `module:name`.

    Raises:
        OSError: it can't be written.
        InvalidOption: a plan holds a callable that can't be found by a name.
    """
    case = outcome.exact
    is_data = isinstance(case.scenario, Scenario)
    header = Recording(
        lightspeed_trace=_FORMAT,
        version=version("lightspeed-channels"),
        hash=outcome.trace.hash,
        seed=case.seed,
        choices=case.choices or (),
        error=None if outcome.error is None else text_of(outcome.error),
        scenario=msgspec.Raw(case.scenario.to_json()) if isinstance(case.scenario, Scenario) else None,
        play=None if is_data else _encodable(play_name or name_of(case.scenario)),
        skip=tuple(sorted(case.skip)),
        plan=msgspec.Raw(case.plan.to_json()) if case.plan.faults else None,
    )
    text = "".join(f"{line}\n" for line in (msgspec.json.encode(header).decode(), *outcome.trace))
    Path(path).write_bytes(text.encode(errors="surrogatepass"))


def lines_of(trace: Trace) -> list[str]:
    """As they come back from a file, where a name with the end of a line in it makes two of one."""
    return [part for line in trace for part in line.split("\n")]


def _shown(line: str) -> str:
    """Of a file, which may be from elsewhere: but for its tabs nothing that a terminal would obey."""
    return "\t".join(escaped(field, None) for field in line.split("\t"))


def _encodable(text: str | None) -> str | None:
    return None if text is None else text.encode(errors="backslashreplace").decode()


def read_recording(path: str | Path) -> tuple[Recording, list[str]]:
    """The header, and the lines of the trace.

    Raises:
        OSError: it can't be read.
        InvalidOption: it is no recording, or of another format.
    """
    try:
        with open(path, "rb") as file:
            first = _read(file.readline, LONGEST_HEADER, "its first line").decode().removeprefix("\ufeff")
            header = msgspec.convert(msgspec.json.decode(first), Recording)  # not at once: of equal keys the last counts
            text = _read(file.read, LARGEST, "its trace").decode(errors="surrogatepass")
    except (ValueError, RecursionError) as error:  # no text, no JSON, or fields that don't fit
        raise InvalidOption("recording", str(path), f"must be a trace of a simulation ({error})") from None
    if header.lightspeed_trace != _FORMAT:
        raise InvalidOption("recording", str(path), f"must be of format {_FORMAT}, and is of {header.lightspeed_trace}")
    return header, text.removesuffix("\n").split("\n") if text else []  # and at no other end of a line: a name may hold one


def _read(read: Callable[[int], bytes], most: int, what: str) -> bytes:
    data = read(most + 1)
    if len(data) > most:
        raise ValueError(f"{what} is longer than {most:,} bytes")
    return data


def case_of(header: Recording, scenario: Play | None = None) -> Case:
    """The case that was recorded. `scenario`: the function that was played, where it can't be found by its name.

    Raises:
        InvalidOption: there is no scenario in it, and no function by its name.
    """
    played: Scenario | Play
    if header.scenario is not None:
        played = Scenario.from_json(msgspec.json.encode(header.scenario))
    elif scenario is not None:
        played = scenario
    elif header.play is not None and "::" not in header.play:
        played = find_by_name(header.play)
    else:
        raise InvalidOption("recording", header.play, "must name a function that can be imported, as module:name")
    plan = FaultPlan() if header.plan is None else FaultPlan.from_json(msgspec.json.encode(header.plan))
    return Case(played, header.seed, choices=header.choices, skip=frozenset(header.skip), plan=plan)


def replay(path: str | Path, scenario: Play | None = None) -> Replayed:
    """Play again what was recorded, and hold the traces beside each other.

    Raises:
        OSError, InvalidOption: as of `read_recording` and `case_of`.
    """
    header, recorded = read_recording(path)
    outcome = play(case_of(header, scenario))
    return Replayed(outcome, divergence_of(recorded, lines_of(outcome.trace)))


def divergence_of(recorded: list[str], again: list[str]) -> Divergence | None:
    """Where two traces part; None: nowhere."""
    for number, (before, now) in enumerate(zip_longest(recorded, again), start=1):
        if before != now:
            return Divergence(number, before, now)
    return None
