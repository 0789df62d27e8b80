"""What samples on an event loop share: the loop itself, and a gate at which who sends waits for all readers."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_on(loop: str, coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end on a loop of this kind: `asyncio`, or `uvloop`."""
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)


class Gate:
    """Opens when each of so many readers has come to it, and shuts again. A reader does not wait at it, as at asyncio's Barrier:
    that would cost all sides alike what is none of theirs."""

    def __init__(self, readers: int) -> None:
        self._readers = self._missing = readers
        self._open = asyncio.Event()

    def come(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._open.set()

    async def wait(self) -> None:
        """For one who sends; the next round of readers begins behind it."""
        await self._open.wait()
        self._open.clear()
        self._missing = self._readers
