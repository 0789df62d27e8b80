"""What goes into a capsule as a pickle: with the code that it needs, and without what can't or must not go along.

Code of the user's goes by value: what `__main__`, a function or any module of the user's defines can be loaded where it can't be
imported. The standard library, installed packages and lightspeed itself go by name.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import msgspec

from lightspeed.supervision.capsules.pickler import LONG_ENOUGH, Pickler
from lightspeed.supervision.capsules.secret_text import Censor

# So many characters times secrets are looked at; with more, only those that are a secret as a whole are found in a state. A text
# costs about as much as its length and this.
_MOST_LOOKS, _EACH_TEXT = 100_000_000, 200


class Pickled(msgspec.Struct, frozen=True):
    """A pickle, and what is not in it."""

    data: bytes
    tokens: tuple[str, ...] = ()
    """What stands for something else: `<name>: <what it was>`."""
    redactions: tuple[str, ...] = ()
    """The names under which something was redacted."""
    secrets: frozenset[str] = frozenset()
    """The texts that were: for whoever writes other texts into the same capsule."""
    runs: tuple[str, ...] = ()
    """The classes whose own code it takes to load it."""


class TooLarge(Exception):
    """A pickle became larger than it may be."""


class TooDeep(Exception):
    """What was to be pickled is nested deeper than Python can follow."""

    def __init__(self) -> None:
        super().__init__("it is nested too deep")


class _Bounded(io.BytesIO):
    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any, /) -> int:
        if self._limit is not None and self.tell() + len(data) > self._limit:
            raise TooLarge(f"it is larger than {self._limit} bytes")
        return super().write(data)


def pickled(value: Any, limit: int | None = None, known: frozenset[str] = frozenset()) -> Pickled:
    """Pickle it. Any thread may call this.

    Args:
        known: secrets, beside those that stand in it under names that look secret.
        limit: so many bytes it may have. None, the default: as many as it takes.

    Raises:
        BaseException: it can't be pickled, even so; or what its values' own code raises.
    """
    made, texts = _dumped(value, limit, None)
    secrets = made.secrets | known
    if not secrets:
        return made
    censor = Censor(secret for secret in secrets if _can_be_told_from_a_name(secret))
    cost = sum(len(text) + _EACH_TEXT for text in texts) * len(secrets)
    looks = censor.clean if cost < _MOST_LOOKS else censor.whole
    if all(looks(text) == text for text in texts):
        return made
    again, _texts = _dumped(value, limit, looks)  # what is said of a secret where its name is not
    return msgspec.structs.replace(again, secrets=made.secrets | again.secrets)


def _dumped(value: Any, limit: int | None, clean: Callable[[str], str] | None) -> tuple[Pickled, set[str]]:
    with _Bounded(limit) as file:
        pickler = Pickler(file, clean)
        try:
            pickler.dump(value)
        except (RecursionError, pickle.PicklingError) as error:  # of which cloudpickle makes the other
            if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
                raise TooDeep from None
            raise
        finally:
            pickler.by_value.let_go()
        made = Pickled(
            file.getvalue(),
            tuple(dict.fromkeys(pickler.tokens)),
            tuple(dict.fromkeys(pickler.redactions)),
            frozenset(pickler.secrets),
            tuple(dict.fromkeys(pickler.runs)),
        )
        return made, pickler.texts


def _can_be_told_from_a_name(secret: str) -> bool:
    return len(secret) >= LONG_ENOUGH and not (secret.isidentifier() and secret.isalpha())


def unpickled(data: bytes) -> Any:
    """Load what `pickled` made. It runs code that stands in it.

    Raises:
        Exception: whatever that code raises.
    """
    return _Unpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        return pid[1]
