"""A runtime over another one: it changes some of what the other starts, and leaves the rest to it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pykka

from lightspeed.actors.runtime import Runtime, SupervisedRef, Timer


class RuntimeOver:
    """As the runtime that it stands over, until a subclass says otherwise.

    What is not there costs nothing: no hook is left in the actors.
    """

    def __init__(self, under: Runtime) -> None:
        self.under = under

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        """Start an actor by the other's `start` or `start_on_thread`: here its role, arguments or reference may be changed."""
        return start(role, *args)

    def start(self, role: type, *args: Any) -> SupervisedRef:
        return self.begin(self.under.start, role, args)

    def start_on_thread(self, role: type, *args: Any) -> SupervisedRef:
        return self.begin(self.under.start_on_thread, role, args)

    def future(self) -> pykka.Future[Any]:
        return self.under.future()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self.under.call_later(delay_s, call)

    def monotonic_s(self) -> float:
        return self.under.monotonic_s()

    def random(self) -> float:
        return self.under.random()

    def blocking(self) -> AbstractContextManager[None]:
        return self.under.blocking()

    def holds_here(self) -> bool:
        return self.under.holds_here()

    def retire(self) -> None:
        self.under.retire()

    def join(self, timeout_s: float) -> list[str]:
        return self.under.join(timeout_s)


class RefOver:
    """As the reference that it stands over, until a subclass says otherwise; but never in the teller's own thread."""

    def __init__(self, under: SupervisedRef) -> None:
        self.under = under

    def tell(self, message: Any) -> None:
        self.under.tell(message)

    def request(self, message: Any) -> None:
        self.under.request(message)

    def tell_here(self, _message: Any) -> bool:
        return False

    def handle_here(self, _message: Any) -> bool:
        return False

    def stop_soon(self) -> None:
        self.under.stop_soon()

    def stop_within(self, timeout_s: float) -> None:
        self.under.stop_within(timeout_s)

    def is_alive(self) -> bool:
        return self.under.is_alive()

    def left_over(self) -> list[Any]:
        return self.under.left_over()
