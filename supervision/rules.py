"""Who is restarted when a child ends, and when its supervisor ends with it. Values in, values out.

Source: OTP's supervisor behaviour (strategies, restart types, significant children).
"""

from collections.abc import Iterable
from typing import Literal, TypeVar

from lightspeed.actors.exits import ExitReason

Kind = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

KINDS = ("permanent", "transient", "temporary")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
AUTO_SHUTDOWNS = ("never", "any_significant", "all_significant")

T = TypeVar("T")


def should_restart(kind: Kind, reason: ExitReason) -> bool:
    """Whether a child that ended by itself is started again: permanent always, transient after a failure, temporary never."""
    return kind == "permanent" or (kind == "transient" and reason.kind == "abnormal")


def restarted_with(strategy: Strategy, children: Iterable[T], ended: T) -> list[T]:
    """The children that are stopped, the last first, and started again, the first first, when this one of them has ended.

    Args:
        children: all of them, in the order of their start. Under one_for_one it is not looked at.
    """
    if strategy == "one_for_one":
        return [ended]
    everyone = list(children)
    return everyone if strategy == "one_for_all" else everyone[everyone.index(ended) :]


def shuts_down(auto_shutdown: AutoShutdown, *, others_run: bool) -> bool:
    """Whether the supervisor ends when a significant child has ended by itself and is not restarted.

    Args:
        others_run: whether another significant child is left.
    """
    return auto_shutdown == "any_significant" or (auto_shutdown == "all_significant" and not others_run)
