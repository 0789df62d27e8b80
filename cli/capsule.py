"""`lightspeed capsule`: look into a crash capsule without running any of it, or repeat its failure in a process of its own."""

import argparse
from importlib.metadata import version

from lightspeed.actors.checks import check_seconds
from lightspeed.actors.errors import InvalidCapsule
from lightspeed.actors.text import escaped
from lightspeed.capsules import file as capsule_file
from lightspeed.capsules import replay as capsule_replay
from lightspeed.capsules.capsule import Header
from lightspeed.cli.lines import printable, say
from lightspeed.cli.streams import tell

_SIGNATURES = {
    "unsigned": "no",
    "no key": f"yes; not checked, since {capsule_file.KEY} is not set",
    "other key": f"yes, with another key than {capsule_file.KEY} has",
    "altered": "yes, and altered since",
    "good": f"yes, with the key in {capsule_file.KEY}",
}


def show(options: argparse.Namespace) -> int:
    """Print the header of the capsule; returns the exit status.

    Raises:
        InvalidCapsule: it is none.
        OSError: it can't be read.
    """
    capsule = capsule_file.read(options.file)
    if options.json:
        return 0 if say(capsule.line.decode().removesuffix("\n")) else 1
    rows = [f"{name:<12}{escaped(value, None)}" for name, value in _rows(capsule.header, _SIGNATURES[capsule.signature])]
    return 0 if say(*rows, "", printable(capsule.header.failure.traceback.rstrip("\n"))) else 1


def replay(options: argparse.Namespace) -> int:
    """Repeat it; returns the exit status.

    Raises:
        CapsuleRefused: nobody vouches for it, and `--run-untrusted-code` is not given.
        InvalidCapsule: it is no capsule, or can't be replayed here.
        InvalidOption: a timeout that can't be.
        OSError: it can't be read.
    """
    check_seconds("--timeout", options.timeout)
    capsule = capsule_file.read(options.file)
    if not options.run_untrusted_code:
        capsule.check_signature()
    header, here = capsule.header, version("lightspeed-channels")
    if header.library != here:
        tell(f"lightspeed: the capsule was written by lightspeed {escaped(header.library)}, and this is {here}")
    outcome = capsule_replay.replay(capsule, options.timeout)
    if outcome.broken:
        raise InvalidCapsule(options.file, f"what is in it can't be loaded: {escaped(outcome.broken, None)}")
    differs = capsule_replay.difference(capsule, outcome)
    lines = []
    if outcome.failure is not None and outcome.failure.traceback:
        lines += outcome.failure.traceback.rstrip("\n").split("\n")
    elif outcome.failure is not None:
        lines.append(f"{outcome.failure.type}: {outcome.failure.text}")
    if differs:
        missing = (f"  not in the capsule: {escaped(name, None)}" for name in (*header.tokens, *header.redactions))
        lines += [f"not the same: {differs}", *missing]
    else:
        topic, failed_on, time = (escaped(value, None) for value in (header.topic, header.failed_on, header.time))
        lines.append(f"the same failure as in topic {topic}, on {failed_on}, {time}")
    is_written = say(*(escaped(line, None) for line in lines))
    return 0 if is_written and not differs else 1


def _rows(header: Header, signature: str) -> list[tuple[str, str]]:
    behaviour = "none: the plain relay" if header.behaviour is None else header.behaviour
    state = {"start": "at its start", "state": "from a snapshot"}.get(header.snapshot, header.snapshot)
    waiting = f"{header.waiting}{', left out for their size' if 'waiting' in header.cut else ''}"
    return [
        ("topic", header.topic),
        ("incarnation", str(header.incarnation)),
        ("behaviour", behaviour),
        ("time", header.time),
        ("exception", f"{header.failure.type}: {header.failure.text}"),
        ("failed on", header.failed_on),
        ("state", state),
        ("messages", f"{header.handled} handled, the last {header.since} of them in the file"),
        ("waiting", waiting),
        ("tokens", ", ".join(header.tokens) or "none"),
        ("redacted", ", ".join(header.redactions) or "nothing"),
        ("python", header.python),
        ("lightspeed", header.library),
        ("bytes", f"{header.sizes.state} state, {header.sizes.steps} messages, {header.sizes.waiting} waiting"),
        ("signed", signature),
    ]
