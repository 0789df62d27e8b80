"""`lightspeed capsule replay`: a topic's failure again, in a process of its own."""

import sys
from importlib.metadata import version

from lightspeed.actors.errors import InvalidCapsule, InvalidOption
from lightspeed.cli.capsule_show import printable
from lightspeed.supervision import capsule_file
from lightspeed.supervision.capsule_replay import difference
from lightspeed.supervision.capsule_replay import replay as run


def replay(path: str, timeout_s: float, *, run_untrusted_code: bool) -> int:
    """Repeat it; returns the exit status.

    Raises:
        CapsuleRefused: nobody vouches for it, and `run_untrusted_code` is not given.
        InvalidCapsule: it is no capsule, or can't be replayed here.
        InvalidOption: a timeout that can't be.
        OSError: it can't be read.
    """
    if not 0 < timeout_s <= 31_536_000:
        raise InvalidOption("--timeout", timeout_s, "must be a number of seconds above 0 and at most a year")
    capsule = capsule_file.read(path)
    if not run_untrusted_code:
        capsule.check_signature()
    header, here = capsule.header, version("lightspeed-channels")
    if header.library != here:
        print(f"lightspeed: the capsule was written by lightspeed {header.library}, and this is {here}", file=sys.stderr)
    outcome = run(capsule, timeout_s)
    if outcome.broken:
        raise InvalidCapsule(path, f"what is in it can't be loaded: {printable(outcome.broken)}")
    differs = difference(capsule, outcome)
    if outcome.failure is not None and outcome.failure.traceback:
        print(printable(outcome.failure.traceback.rstrip("\n")))
    elif outcome.failure is not None:
        print(printable(f"{outcome.failure.type}: {outcome.failure.text}"))
    if differs:
        print(printable(f"not the same: {differs}"))
        for name in (*header.tokens, *header.redactions):
            print(printable(f"  not in the capsule: {name}"))
        return 1
    print(printable(f"the same failure as in topic {header.topic}, on {header.failed_on}, {header.time}"))
    return 0
