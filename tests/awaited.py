"""Tests that are coroutines: each runs on an event loop of its own."""

import asyncio
import functools


def awaited(test):
    """Run the test, and see that no task of it is left."""

    @functools.wraps(test)
    def run(*args, **options):
        async def alone():
            before = asyncio.all_tasks()
            async with asyncio.timeout(30):
                await test(*args, **options)
            await asyncio.sleep(0)  # what has its end in this very turn of the loop
            assert asyncio.all_tasks() == before

        asyncio.run(alone())

    return run


async def forever():
    """A task that does nothing but wait for its cancellation."""
    await asyncio.get_running_loop().create_future()
