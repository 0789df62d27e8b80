"""`lightspeed simulate`: a scenario is played with many seeds until it fails; what failed is cut down and written down."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
from tqdm import tqdm

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import FaultPlan
from lightspeed.cli.seeds import Asked, Played, Player, play_seeds
from lightspeed.testing import Outcome, Scenario, pytest_file, shrink, write_recording

# So many seeds are handed to a process at once: some tenths of a second, against a millisecond to hand them over.
_BATCH = 50


def simulate(options: argparse.Namespace) -> int:
    """Play, and say what came of it; returns the exit status. Options as of the command line.

    Raises:
        InvalidOption: the scenario or the plan is none.
        OSError: a file can't be read or written.
    """
    plan = FaultPlan() if options.plan is None else FaultPlan.from_json(Path(options.plan).read_bytes())
    asked = Asked(options.scenario, options.events, options.scheduler, plan, options.sweep, options.exhaust)
    player, seeds = Player(asked), _seeds(options)
    started_s = time.monotonic()
    played = _play(asked, player, seeds, options.jobs)
    elapsed_s = time.monotonic() - started_s
    if played.failed is not None:
        return _report(player, played.failed, options)
    never = [name for name, held in played.seen.items() if not held]
    if never:
        print(f"failed: {never[0]} never held, with any of {_count(played.seeds, 'seed')}")
        return 1
    counts = (_count(played.seeds, "seed"), _count(played.runs, "run"), _count(played.steps, "step"))
    print(f"{', '.join(counts)}, {played.steps / elapsed_s:,.0f} steps/s, {_count(played.fired, 'fault')} fired: nothing failed")
    return 0


def _seeds(options: argparse.Namespace) -> range:
    if options.seed is not None:
        return range(options.seed, options.seed + 1)
    usual = 1 if options.sweep or options.exhaust is not None else 100
    count = usual if options.seeds is None else options.seeds
    return range(options.first, options.first + count)


def _play(asked: Asked, player: Player, seeds: range, jobs: int) -> Played:
    """To the first that fails, in the order of the seeds however many processes play."""
    total = Played()
    bar = tqdm(total=len(seeds), unit="seed", file=sys.stderr, leave=False, disable=None)
    with bar, _each(asked, player, seeds, jobs) as parts:
        for part in parts:
            total.add(part)
            bar.update(part.seeds)
            if part.failed is not None:
                total.failed = part.failed
                break
    return total


@contextmanager
def _each(asked: Asked, player: Player, seeds: range, jobs: int) -> Iterator[Iterator[Played]]:
    if jobs == 1:
        yield (player.seeds((seed,)) for seed in seeds)
        return
    batches = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
    with multiprocessing.get_context("spawn").Pool(jobs) as processes:
        yield processes.imap(partial(play_seeds, asked), batches)


def _report(player: Player, seed: int, options: argparse.Namespace) -> int:
    found = player.seed(seed, lambda _outcome: None)
    if found is None:
        print(f"failed with seed {seed}, and not when it was played again: the scenario hangs on more than its seed")
        return 1
    if options.shrink:
        found = _shrunk(found)
    trace = f"lightspeed-{seed}.trace" if options.trace is None else options.trace
    write_recording(found, trace, play_name=options.scenario)
    for line in _lines(found):
        print(line)
    if options.test is not None:
        try:
            Path(options.test).write_text(pytest_file(found, options.scenario), encoding="utf-8", errors="surrogatepass")
        except InvalidOption as error:  # what failed is to be told all the same
            print(f"lightspeed: {options.test} was not written: {error}", file=sys.stderr)
    print(f"failed with seed {seed}: {_flat(found.error)}; trace: {trace}")
    return 1


def _shrunk(found: Outcome) -> Outcome:
    with tqdm(unit="cut", desc="shrinking", file=sys.stderr, leave=False, disable=None) as bar:
        return shrink(found, progress=lambda _outcome: bar.update())


def _lines(found: Outcome) -> Iterator[str]:
    """What is left of it, to be read."""
    case = found.case
    if isinstance(case.scenario, Scenario):
        for sending in case.scenario.sendings:
            yield msgspec.json.encode(sending).decode()
        for fault in case.scenario.plan.faults:
            yield repr(fault)
    elif case.skip:
        yield f"without the events {', '.join(map(str, sorted(case.skip)))}, of {found.sent}"
    for fault in case.plan.faults:
        yield repr(fault)


def _flat(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
