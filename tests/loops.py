"""Event loops of each kind that is there: asyncio's own, uvloop's, and a simulated one of another maker."""

import asyncio
import importlib.util
import sys

import pytest

from lightspeed.actors import Loop, Pool, Threads

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
HAS_SIMLOOP = importlib.util.find_spec("simloop") is not None


def run_plain(main):
    return asyncio.run(main())


def run_uvloop(main):
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def run_simloop(main):
    import simloop

    loop = simloop.SimLoop(seed=1)
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


_UVLOOP = pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not there")
_SIMLOOP = pytest.mark.skipif(sys.version_info < (3, 12) or not HAS_SIMLOOP, reason="simloop needs Python 3.12")

LOOPS = [
    pytest.param(run_plain, id="asyncio"),
    pytest.param(run_uvloop, id="uvloop", marks=_UVLOOP),
    pytest.param(run_simloop, id="simloop", marks=_SIMLOOP),
]

RUNTIMES = {"loop": Loop, "pool": Pool, "threads": Threads}

LOOPS_AND_RUNTIMES = [
    *(pytest.param(run_plain, runtime, id=f"asyncio-{name}") for name, runtime in RUNTIMES.items()),
    *(pytest.param(run_uvloop, runtime, id=f"uvloop-{name}", marks=_UVLOOP) for name, runtime in RUNTIMES.items()),
    pytest.param(run_simloop, Loop, id="simloop", marks=_SIMLOOP),  # no thread of ours may tell it anything
]
