"""What was raised, as text, in good time: who tells others of a failure can't wait for code of the program's to word it."""

import threading
import traceback

from lightspeed.actors.text import LONG, asked, escaped, runs_no_foreign_code, with_class

_PATIENCE_S = 0.5  # for code of the program's that makes a text; a failure is not made known before
_MOST_LINKS = 10  # exceptions that led to one another, in a traceback
_MOST_FRAMES = 40  # of each


def text_of(error: BaseException) -> str:
    """The text of an error, as of `text.said`; but code of the program's has half a second for it, on a thread of its own."""
    return with_class(error, own_text_of(error))


def own_text_of(error: BaseException) -> str:
    """The text of an error without its class; whole, however long it is."""
    return asked(error) if runs_no_foreign_code(error) else _asked_in_time(error)


def traceback_of(error: BaseException) -> str:
    """The traceback of an error and of what led to it, as Python prints it; several lines, but each text on one of them."""
    blocks: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(blocks) < _MOST_LINKS:
        seen.add(id(link))
        frames = "".join(traceback.format_tb(link.__traceback__, limit=-_MOST_FRAMES))
        blocks.append(f"Traceback (most recent call last):\n{frames}{escaped(text_of(link), LONG)}")
        link = led_to(link)
    return "\n\nwhich led to:\n\n".join(reversed(blocks))


def led_to(error: BaseException) -> BaseException | None:
    """The exception that Python prints above this one, if there is any."""
    return error.__cause__ if error.__cause__ is not None or error.__suppress_context__ else error.__context__


def let_go_of_calls(error: BaseException | None) -> None:
    """Have an error, and what led to it, hold nothing any more of the calls in which it was raised, but where they were."""
    seen: set[int] = set()
    link = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ if link.__cause__ is not None else link.__context__
    if error is not None:
        error.__traceback__ = None  # it leads back to whoever ran the call


def _asked_in_time(error: BaseException) -> str:
    texts: list[str] = []
    thread = threading.Thread(target=lambda: texts.append(asked(error)), name="text of an exception", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread can be started
        return "(its text was not asked for)"
    thread.join(_PATIENCE_S)
    return texts[0] if texts else f"(it did not give its text within {_PATIENCE_S:g} s)"
