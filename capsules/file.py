"""A capsule as a file: one line of JSON, the pickles, and if there is a key 32 bytes of HMAC-SHA256 over all before them.

A file is whole or not there: it is written under another name first. The key is the text of `LIGHTSPEED_CAPSULE_KEY`.
"""

import hashlib
import hmac
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from lightspeed.actors.errors import CapsuleRefused, InvalidCapsule
from lightspeed.capsules.capsule import LARGEST_HEADER, Header, read_header

KEY = "LIGHTSPEED_CAPSULE_KEY"
"""The environment variable with the key. Not set, or empty: there is none."""

SUFFIX = ".capsule"
_SIGNATURE = hashlib.sha256().digest_size
_OURS = re.compile(r"\d{8}T\d{12}Z-.*\.capsule")

Signature = Literal["unsigned", "no key", "other key", "altered", "good"]


class Capsule(msgspec.Struct, frozen=True):
    """A file that was read, and not yet loaded."""

    source: str
    line: bytes
    header: Header
    body: bytes
    signature: Signature

    @property
    def state(self) -> bytes:
        return self.body[: self.header.sizes.state]

    @property
    def steps(self) -> bytes:
        start = self.header.sizes.state
        return self.body[start : start + self.header.sizes.steps]

    def check_signature(self) -> None:
        """Whether somebody who holds our key vouches for it.

        Raises:
            CapsuleRefused: nobody does.
        """
        if self.signature != "good":
            raise CapsuleRefused(self.source, f"{_REFUSALS[self.signature]}; a replay runs the code that is in it")


_REFUSALS: dict[Signature, str] = {
    "unsigned": "it is not signed",
    "no key": f"it is signed, and {KEY} is not set, so that nobody can tell by whom",
    "other key": f"it is signed with another key than {KEY} has",
    "altered": "it was altered after it had been signed",
}


def key_of_environment() -> bytes | None:
    """The key for signing and for checking."""
    return os.environb.get(KEY.encode()) or None if os.supports_bytes_environ else os.environ.get(KEY, "").encode() or None


def key_id(key: bytes | None) -> str:
    """What a header says of it."""
    return "" if key is None else hmac.new(key, b"lightspeed capsule key id", hashlib.sha256).hexdigest()[:16]


def encode(header: Header, body: bytes, key: bytes | None) -> bytes:
    """The file's content. The header says already whether it is signed."""
    content = msgspec.json.encode(header) + b"\n" + body
    return content if key is None else content + hmac.digest(key, content, "sha256")


def write(directory: Path, name: str, content: bytes) -> Path:
    """Put the content into a file of its own, which only its owner may read.

    Raises:
        OSError: it could not be written; then nothing is left of it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, unfinished = directory / name, directory / f".{name}.unfinished"
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    return path


def prune(directory: Path, max_files: int) -> None:
    """Delete the oldest capsules until there are no more than so many. Other files are left alone.

    Raises:
        OSError: the directory can't be read.
    """
    names = sorted(name for name in os.listdir(directory) if _OURS.fullmatch(name))
    for name in names[: max(0, len(names) - max_files)]:
        with suppress(OSError):  # another process was quicker, or it is nobody's to delete
            (directory / name).unlink()


def read(path: str) -> Capsule:
    """Read a file and look who signed it. Nothing in it is run.

    Raises:
        InvalidCapsule: it is no capsule, or not whole.
        OSError: it can't be read.
    """
    with open(path, "rb") as file:
        line = file.readline(LARGEST_HEADER + 1)
        if not line:
            raise InvalidCapsule(path, "no crash capsule: it is empty")
        if len(line) > LARGEST_HEADER:
            raise InvalidCapsule(path, f"no crash capsule: its first line is longer than {LARGEST_HEADER} bytes")
        header = read_header(path, line)
        if not line.endswith(b"\n"):
            raise InvalidCapsule(path, "it is cut short: it ends in its header")
        size = header.sizes.body + (_SIGNATURE if header.signed else 0)
        held = os.fstat(file.fileno()).st_size - len(line)
        if held < size:
            raise InvalidCapsule(path, f"it is cut short: {size} bytes should follow its header, and {max(0, held)} do")
        if held > size:
            raise InvalidCapsule(path, f"it was altered: {size} bytes should follow its header, and {held} do")
        rest = file.read(size)
    if len(rest) < size:
        raise InvalidCapsule(path, "it is cut short: it shrank while it was read")
    body, signature = rest[: header.sizes.body], rest[header.sizes.body :]
    return Capsule(path, line, header, body, _judge(header, line + body, signature))


def _judge(header: Header, content: bytes, signature: bytes) -> Signature:
    if not header.signed:
        return "unsigned"
    key = key_of_environment()
    if key is None:
        return "no key"
    if hmac.compare_digest(hmac.digest(key, content, "sha256"), signature):
        return "good"
    return "altered" if header.key_id == key_id(key) else "other key"
