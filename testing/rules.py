"""What a play says must be so in its simulation, in functions of its own."""

from collections.abc import Callable
from types import FunctionType

from msgspec import Struct

from lightspeed.actors.checks import check_call, is_put_off
from lightspeed.actors.errors import InvalidOption, SimulationMisused
from lightspeed.actors.text import escaped
from lightspeed.testing.trace import note


class Rule(Struct, eq=False):
    """One that the user has made."""

    name: str
    holds: Callable[[], object]
    due_s: float | None = None
    """When it must have held; None: no such time."""
    has_held: bool = False

    def look(self) -> bool:
        """Whether it holds now.

        Raises:
            SimulationMisused: it does not say so.
        """
        try:
            held = self.holds()
        except Exception as error:  # the rule is the user's
            note(error, f"in the rule {self.name}")
            raise
        if held is None or is_put_off(held):
            what = "None" if held is None else "a coroutine or generator"
            raise SimulationMisused(f"the rule {self.name} returned {what}: it must return whether it holds")
        return bool(held)


def rule_of(holds: Callable[[], object], name: str | None, due_s: float | None = None) -> Rule:
    """A rule by this name, or that of the function.

    Raises:
        InvalidOption: a call would not say whether it holds, or the name is none.
    """
    check_call("holds", holds)
    if name is None:
        name = holds.__name__ if isinstance(holds, FunctionType) else "a rule"
    if not isinstance(name, str):
        raise InvalidOption("name", name, "must be a str")
    return Rule(escaped(name), holds, due_s)
