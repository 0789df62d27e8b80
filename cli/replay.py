"""`lightspeed replay`: the trace of a simulation is played again, and held beside what happens now."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.text import escaped
from lightspeed.cli.lines import printable, say
from lightspeed.cli.seeds import load
from lightspeed.cli.streams import tell
from lightspeed.testing import replay as play_again
from lightspeed.testing.recording import Divergence, Recording, divergence_of, read_recording
from lightspeed.testing.scenario import Scenario
from lightspeed.testing.trace import hash_of


def replay(options: argparse.Namespace) -> int:
    """Play the trace, and say how it went; returns the exit status. Without a scenario its name is as in the trace.

    Raises:
        InvalidOption: the trace is none, or what was played is not to be found.
        OSError: it can't be read.
    """
    trace, scenario = options.trace, options.scenario
    header, lines = read_recording(trace)
    if scenario is None and "::" in (header.play or ""):
        divergence, error = _by_pytest(trace, header, lines)
    else:
        name = header.play if scenario is None else scenario
        played = None if name is None or header.scenario is not None else load(name)
        if isinstance(played, Scenario):
            raise InvalidOption("--scenario", scenario, "must name the function that was played")
        again = play_again(trace, played)
        found = again.outcome.error
        divergence, error = again.divergence, None if found is None else f"{type(found).__name__}: {found}"
    if divergence is not None:
        say(printable(str(divergence).replace("\t", " ")), *_doubts(header, lines))
        return 1
    end = "nothing failed" if error is None else f"it failed: {' '.join(error.split())}"
    return 0 if say(printable(f"it went the same way, {len(lines):,} lines; {end}")) else 1


def _doubts(header: Recording, lines: list[str]) -> Iterator[str]:
    """Why it may be no wonder."""
    if header.hash != hash_of(lines):
        yield "the trace is not as it was written: it was altered or cut off"
    here = version("lightspeed-channels")
    if header.version != here:
        yield escaped(f"the trace was written by lightspeed {header.version}, and this is {here}", None)


def _by_pytest(trace: str, header: Recording, lines: list[str]) -> tuple[Divergence | None, str | None]:
    assert header.play is not None
    with TemporaryDirectory() as folder:
        # With a blank instead of the equals sign pytest would look for its root folder there.
        options = [f"--lightspeed-replay={Path(trace).absolute()}", f"--lightspeed-traces={folder}", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", header.play, *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        written = list(Path(folder).glob("*.trace"))
        if len(written) != 1:
            tell(*done.stdout.splitlines(), *done.stderr.splitlines())
            raise InvalidOption("recording", header.play, "must name a test that pytest finds from here, with a simulation")
        again, lines_now = read_recording(written[0])
    return divergence_of(lines, lines_now), again.error
