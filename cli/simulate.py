"""`lightspeed simulate`: a scenario is played with many seeds until it fails; what failed is cut down and written down."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from tqdm import tqdm

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.text import escaped, shown
from lightspeed.channel import FaultPlan
from lightspeed.cli.lines import say
from lightspeed.cli.seeds import Asked, Played, Player, processes
from lightspeed.cli.streams import read_file, tell
from lightspeed.testing import Outcome, Scenario, pytest_file, shrink, write_recording

_LONG = 1_000  # so much of a fault is shown


def simulate(options: argparse.Namespace) -> int:
    """Play, and say what came of it; returns the exit status. Options as of the command line.

    Raises:
        InvalidOption: the scenario or the plan is none.
        OSError: a file can't be read or written.
    """
    if options.scenario is None:
        tell("lightspeed: say what to play: module:function, path/to/file.py:function, or a file of JSON (simulate --help)")
        return 2
    plan = FaultPlan() if options.plan is None else FaultPlan.from_json(read_file("--plan", options.plan))
    asked = Asked(options.scenario, options.scheduler, plan, options.sweep, options.exhaust, options.most)
    player, seeds = Player(asked), _seeds(options)
    started_s = time.monotonic()
    played = _play(asked, player, seeds, options.jobs)
    elapsed_s = time.monotonic() - started_s
    if played.failed is not None:
        return _report(player, played.failed, options)
    never = [name for name, held in played.seen.items() if not held]
    if never:
        say(f"failed: {escaped(never[0], None)} never held, with any of {_count(played.seeds, 'seed')}")
        return 1
    counts = (_count(played.seeds, "seed"), _count(played.runs, "run"), _count(played.steps, "step"))
    speed = f"{played.steps / elapsed_s:,.0f} steps/s"
    more = f" ({_count(played.cut_off, 'seed')} with more orders than --most {options.most})" if played.cut_off else ""
    is_written = say(f"{', '.join(counts)}, {speed}, {_count(played.fired, 'fault')} fired: nothing failed{more}")
    return 0 if is_written else 1


def _seeds(options: argparse.Namespace) -> range:
    if options.seed is not None:
        return range(options.seed, options.seed + 1)
    usual = 1 if options.sweep or options.exhaust is not None else 100
    count = usual if options.seeds is None else options.seeds
    return range(options.first, options.first + count)


def _play(asked: Asked, player: Player, seeds: range, jobs: int) -> Played:
    """To the first that fails, in the order of the seeds however many processes play."""
    total = Played()
    plays_many = asked.sweeps or asked.bound is not None  # of each seed, so that the seeds say little of how far it is
    size, unit = (None, "run") if plays_many else (len(seeds), "seed")
    with tqdm(total=size, unit=unit, file=sys.stderr, leave=False, disable=None) as bar:
        for part in _parts(asked, player, seeds, jobs, bar.update if plays_many else None):
            total.add(part)
            bar.update(part.seeds if not plays_many else part.runs if jobs > 1 else 0)
            if part.failed is not None:
                total.failed = part.failed
                break
    return total


def _parts(asked: Asked, player: Player, seeds: range, jobs: int, update: Callable[[], object] | None) -> Iterator[Played]:
    if jobs > 1:
        with processes(asked, seeds, jobs) as parts:
            yield from parts
    else:
        progress = None if update is None else lambda _outcome: update()
        yield from (player.seeds((seed,), progress) for seed in seeds)


def _report(player: Player, seed: int, options: argparse.Namespace) -> int:
    found = player.seed(seed, lambda _outcome: None)
    if found is None:
        say(f"failed with seed {seed}, and not when it was played again: the scenario hangs on more than its seed")
        return 1
    if options.shrink:
        found = _shrunk(found)
    trace = f"lightspeed-{seed}.trace" if options.trace is None else options.trace
    has_trace = _is_written(trace, lambda: write_recording(found, trace, play_name=options.scenario))
    has_test = options.test is None or _is_written(options.test, lambda: _write_test(found, options))
    where = f"; trace: {escaped(trace, None)}" if has_trace else ""
    say(*_lines(found), f"failed with seed {seed}: {found.text}{where}")
    return 1 if has_trace and has_test else 2


def _is_written(path: str, write: Callable[[], object]) -> bool:
    """False: it can't be, which was told. What failed is to be told all the same."""
    try:
        write()
    except OSError as error:
        tell(f"lightspeed: {path}: {error.strerror}")
        return False
    return True


def _write_test(found: Outcome, options: argparse.Namespace) -> None:
    try:
        Path(options.test).write_text(pytest_file(found, options.scenario), encoding="utf-8")
    except InvalidOption as error:
        tell(f"lightspeed: {options.test} was not written: {error}")


def _shrunk(found: Outcome) -> Outcome:
    with tqdm(unit="cut", desc="shrinking", file=sys.stderr, leave=False, disable=None) as bar:
        return shrink(found, progress=lambda _outcome: bar.update())


def _lines(found: Outcome) -> Iterator[str]:
    """What is left of it, to be read."""
    case = found.case
    if isinstance(case.scenario, Scenario):
        if case.scenario.tree is not None:
            yield f'{{"tree":{_as_json(case.scenario.tree)}}}'
        for sending in case.scenario.sendings:
            yield _as_json(sending)
        for fault in case.scenario.plan.faults:
            yield shown(fault, _LONG)
    elif case.skip:
        yield f"without the events {', '.join(map(str, sorted(case.skip)))}, of {found.sent}"
    for fault in case.plan.faults:
        yield shown(fault, _LONG)


def _as_json(value: object) -> str:
    """One line, of nothing that a terminal would obey."""
    text = msgspec.json.encode(value).decode()
    return text if text.isprintable() else json.dumps(json.loads(text), separators=(",", ":"))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
