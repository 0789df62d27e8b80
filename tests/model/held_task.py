"""A supervised task that is held to what it promises, by its coroutine: its steps, its cancellations, and how it ends."""

import asyncio
from collections.abc import Callable
from typing import Any

from lightspeed.actors.checks import is_put_off
from lightspeed.actors.coroutines import ActorCoroutine
from lightspeed.actors.errors import ExitReason, Ignore, Shutdown
from lightspeed.actors.text import shown

_NOT_UP = "has taken its first step, and is not up"


class HeldTask(ActorCoroutine):
    """The coroutine of a task, around the program's own.

    Args:
        child_id: whose it is.
        breaks: told the rule that is broken, and how.
    """

    def __init__(self, inner: Any, child_id: Any, breaks: Callable[[str, str], None]) -> None:
        self._inner, self._child_id, self._breaks = inner, child_id, breaks
        self.__name__, self.__qualname__ = inner.__name__, inner.__qualname__
        self.has_begun = self.is_over = False
        self.is_told = self.is_given_up = False
        """By its supervisor: to stop."""
        self._was_cancelled_since = self._ended_in_start = False
        self._error: BaseException | None = None

    def throw(self, *error: Any) -> Any:
        is_cancelled = any(isinstance(one, asyncio.CancelledError) or one is asyncio.CancelledError for one in error)
        self._was_cancelled_since = self._was_cancelled_since or (is_cancelled and self.is_told)
        return super().throw(*error)

    def close(self) -> None:
        self.is_over = True  # the simulation has ended, or the coroutine was never begun
        self._inner.close()

    def __del__(self) -> None:
        is_put_off(self._inner)  # one that has not begun never does

    def _step(self, go_on: Callable[..., Any], *args: Any) -> Any:
        if self.is_given_up and not self.has_begun and not self.is_over and go_on == self._inner.send:
            self._break("was given up, and began")
        is_first, self.has_begun = not self.has_begun, True
        try:
            return go_on(*args)
        except BaseException as error:
            self.is_over, self._ended_in_start = True, is_first
            self._error = None if isinstance(error, StopIteration) else error
            raise

    # What must be so

    def check_end(self, reason: ExitReason, *, is_starting: bool) -> None:
        """It is said to have ended of this. `is_starting`: as of `check`."""
        if is_starting and not self._ended_in_start:
            self._break(_NOT_UP)
        elif not self.is_over:
            self._break(f"is said to have ended {reason.kind}, and goes on")
        elif not self._is_right(reason):
            how = "it has returned" if self._error is None else f"it has raised {type(self._error).__name__}"
            self._break(f"is said to have ended {reason.kind}, where {how}{' and was told to stop' if self.is_told else ''}")

    def _is_right(self, reason: ExitReason) -> bool:
        error = self._error
        if error is None:
            return reason == ExitReason("normal")
        if isinstance(error, asyncio.CancelledError):  # from outside, or, it may be, by its supervisor
            return reason.kind == "shutdown" or (self.is_told and reason.kind == "normal")
        if reason.error is not error:
            return False
        if isinstance(error, Ignore):
            return reason.kind in ("normal", "abnormal")
        return reason.kind == ("shutdown" if isinstance(error, Shutdown) else "abnormal")

    def check(self, *, is_starting: bool) -> None:
        """Nobody is ready. `is_starting`: whether it is still taken to start, and not by its own wish."""
        if self.is_over or not self.has_begun:
            return
        if is_starting:
            self._break(_NOT_UP)
        if self.is_told and not self._was_cancelled_since:
            self._break("was told to stop, and was not cancelled")

    def _break(self, text: str) -> None:
        self._breaks("tasks", f"{shown(self._child_id)} {text}")
