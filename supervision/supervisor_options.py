"""How a Supervisor treats its children: what each option means says `Supervisor`."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.seconds import check_seconds
from lightspeed.actors.text import shown
from lightspeed.supervision.backoff import Backoff
from lightspeed.supervision.child_spec import ChildSpec
from lightspeed.supervision.restart_window import RestartWindow
from lightspeed.supervision.rules import AUTO_SHUTDOWNS, STRATEGIES, AutoShutdown, Strategy


class SupervisorOptions(Struct, frozen=True, kw_only=True):
    """The options, checked once.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    strategy: Strategy
    intensity: int
    period_s: float
    auto_shutdown: AutoShutdown
    backoff: Backoff | None
    start_timeout_s: float

    def __post_init__(self) -> None:
        self.window()
        for option, values in (("strategy", STRATEGIES), ("auto_shutdown", AUTO_SHUTDOWNS)):
            value = getattr(self, option)
            if not (type(value) is str and value in values):
                raise InvalidOption(option, value, f"must be one of {', '.join(values)}")
        if not (self.backoff is None or issubclass(type(self.backoff), Backoff)):
            raise InvalidOption("backoff", self.backoff, "must be a Backoff or None")
        check_seconds("start_timeout_s", self.start_timeout_s)

    def window(self) -> RestartWindow:
        """A fresh window."""
        return RestartWindow(self.intensity, self.period_s)

    def check_child(self, spec: Any) -> ChildSpec:
        """Whether a supervisor with these options can have such a child."""
        if not issubclass(type(spec), ChildSpec):
            raise InvalidOption("children", spec, "must be a ChildSpec each")
        if spec.significant and self.auto_shutdown == "never":
            raise InvalidOption("significant", True, f"of child {shown(spec.id)} must be False where auto_shutdown is never")
        checked: ChildSpec = spec
        return checked

    def check_children(self, children: Iterable[Any]) -> list[ChildSpec]:
        """As `check_child`, and whether each has an id of its own."""
        specs = [self.check_child(spec) for spec in children]
        if len({spec.id for spec in specs}) < len(specs):
            raise InvalidOption("children", [spec.id for spec in specs], "must have ids that differ")
        return specs
