"""`lightspeed capsule show`: what a crash capsule says of itself. Nothing in it is run."""

import sys

from lightspeed.supervision import capsule_file
from lightspeed.supervision.capsule import Header

_SIGNATURES = {
    "unsigned": "no",
    "no key": f"yes; not checked, since {capsule_file.KEY} is not set",
    "other key": f"yes, with another key than {capsule_file.KEY} has",
    "altered": "yes, and altered since",
    "good": f"yes, with the key in {capsule_file.KEY}",
}


def show(path: str, *, as_json: bool) -> int:
    """Print the header of the capsule; returns the exit status.

    Raises:
        InvalidCapsule: it is none.
        OSError: it can't be read.
    """
    capsule = capsule_file.read(path)
    if as_json:
        sys.stdout.write(capsule.line.decode())
        return 0
    for name, value in _rows(capsule.header, _SIGNATURES[capsule.signature]):
        print(f"{name:<12}{printable(value)}")
    print()
    print(printable(capsule.header.failure.traceback.rstrip("\n")))
    return 0


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


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
