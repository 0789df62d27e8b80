"""A service of supervised tasks: a poller that fails twice, a consumer, a heartbeat, and one that hangs when it is to end."""

import asyncio
from contextlib import suppress
from itertools import count

from lightspeed.supervision import AsyncSupervisor, Backoff, ChildSpec, starting

READINGS = 10


async def poll(readings: "asyncio.Queue[int]", numbers: "count[int]") -> None:
    with starting():  # a connection is made, say: it is up when the block is left
        await asyncio.sleep(0.001)
    for number in numbers:
        if number in (3, 6):
            raise ConnectionError(f"reading {number} is lost")
        readings.put_nowait(number)
        await asyncio.sleep(0.001)


async def consume(readings: "asyncio.Queue[int]", is_full: asyncio.Event) -> None:
    for _ in range(READINGS):
        print("reading", await readings.get())
    is_full.set()


async def beat(beats: list[float]) -> None:
    while True:
        beats.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.002)


async def hang() -> None:
    while True:
        with suppress(asyncio.CancelledError):  # behind its shutdown_s nobody waits for it any more
            await asyncio.sleep(0.1)
            return


async def main() -> None:
    readings, numbers, is_full, beats = asyncio.Queue[int](), count(1), asyncio.Event(), list[float]()
    children = [
        ChildSpec("heartbeat", (beat, (beats,), {})),
        ChildSpec("stuck", hang, shutdown_s=0.01),
        ChildSpec("consumer", (consume, (readings, is_full), {}), kind="transient"),  # it may return
        ChildSpec("poller", (poll, (readings, numbers), {})),
    ]
    async with AsyncSupervisor(children, intensity=5, backoff=Backoff(floor_s=0.001, cap_s=0.01)) as supervisor:
        await is_full.wait()
        print("the poller was restarted", (await supervisor.which_child("poller")).restarts, "times")
        await supervisor.terminate_child("stuck")
        print("abandoned:", (await supervisor.count_children()).abandoned)
    print("the heart has beaten:", len(beats) > 1, "and all have ended:", not await supervisor.stop())


if __name__ == "__main__":
    asyncio.run(main())
