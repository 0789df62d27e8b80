"""What is told of a failure in a header: the exception's text and traceback, whole but for the secrets, and only then cut."""

import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from lightspeed.actors.failures import led_to, own_text_of
from lightspeed.actors.text import shown
from lightspeed.capsules.capsule import Failure, name_of
from lightspeed.capsules.redaction import Censor, read_clean

# So much of a text is read at most, many times what a header holds: a secret at the brink of what it holds is seen whole.
_READ = 200_000

_MOST_LINKS, _MOST_FRAMES = 20, 60  # of exceptions that led to one another or are in a group, and of each

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


class Raised:
    """An exception, asked for its text once, and that in good time. It may take code of the program's: on no actor's turn."""

    def __init__(self, error: BaseException, *, skip: int = 0) -> None:
        self._error, self._skip = error, skip
        self._links = list(_links_of(error))
        self._texts = {id(link): own_text_of(link) for link in self._links}

    def failure(self, censor: Censor) -> Failure:
        """As text, without the secrets."""
        text = self._texts[id(self._error)]
        whole = "".join(self._blocks(self._error, set(), self._skip))
        return Failure(
            censor.clean(name_of(type(self._error))), read_clean(text, _READ, censor), read_clean(whole, _READ, censor)
        )

    def locals(self) -> Iterator[Any]:
        """What the variables of the program's functions held that it came through, and the exceptions themselves."""
        for link in self._links:
            yield link
            for frame, _line in traceback.walk_tb(link.__traceback__):
                if not str(frame.f_globals.get("__name__")).startswith("lightspeed."):
                    yield dict(frame.f_locals)

    def _blocks(self, error: BaseException, seen: set[int], skip: int = 0) -> Iterator[str]:
        seen.add(id(error))
        before = led_to(error)
        if before is not None and id(before) in self._texts and id(before) not in seen:
            yield from self._blocks(before, seen)
            yield _CONTEXT if error.__cause__ is None else _CAUSE
        yield from _frames(error.__traceback__, skip)
        yield f"{_name(error)}: {self._texts[id(error)]}\n"
        yield from (f"{note if type(note) is str else shown(note)}\n" for note in _notes_of(error))
        for number, member in enumerate(_members_of(error), 1):
            if id(member) in self._texts and id(member) not in seen:
                yield f"  of the group, number {number}:\n"
                yield from self._blocks(member, seen)


def _frames(place: TracebackType | None, skip: int) -> Iterator[str]:
    for _ in range(skip):
        place = place and place.tb_next
    if place is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(place, limit=-_MOST_FRAMES)


def _name(error: BaseException) -> str:
    return name_of(type(error)).removeprefix("builtins.")


def _links_of(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST_LINKS:
        link = waiting.pop(0)
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            before = led_to(link)
            waiting += [*([] if before is None else [before]), *_members_of(link)]


def _members_of(error: BaseException) -> tuple[BaseException, ...]:
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    return BaseExceptionGroup.exceptions.__get__(error)  # type: ignore[no-any-return]


def _notes_of(error: BaseException) -> list[Any]:
    try:
        notes = object.__getattribute__(error, "__dict__").get("__notes__")
    except Exception:  # of its class's making
        notes = None
    return notes[:_MOST_LINKS] if type(notes) is list else []
