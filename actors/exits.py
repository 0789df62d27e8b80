"""Why an actor ended, as a value and in words. Source: the exit reasons of OTP, with `normal`, `shutdown` and any other."""

from typing import Literal

from msgspec import Struct

from lightspeed.actors.errors import Ignore, Shutdown
from lightspeed.actors.text import said


class ExitReason(Struct, frozen=True):
    """Why an actor ended."""

    kind: Literal["normal", "shutdown", "abnormal"]
    """`normal`: it was stopped, or ignored its start. `shutdown`: it raised `Shutdown`. `abnormal`: it raised anything else."""
    error: BaseException | None = None
    """What it raised; None where it was stopped."""

    @property
    def is_ignored(self) -> bool:
        """Whether it raised `Ignore` in on_start."""
        return self.kind == "normal" and self.error is not None

    def __str__(self) -> str:
        return self.kind if self.error is None else f"{self.kind}: {said(self.error)}"


NORMAL = ExitReason("normal")
"""It was stopped, by itself or from outside."""


def reason_of(error: BaseException | None, *, in_start: bool = False) -> ExitReason:
    """The reason of an actor that ended of this error, None for a stop. `in_start`: it was raised by on_start."""
    if error is None:
        return NORMAL
    if issubclass(type(error), Shutdown):
        return ExitReason("shutdown", error)
    return ExitReason("normal" if in_start and issubclass(type(error), Ignore) else "abnormal", error)
