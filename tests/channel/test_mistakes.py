"""Mistakes that are refused by name, and calls that would wait for themselves."""

import functools
import os
import signal
import subprocess
import sys

import pytest

from lightspeed.channel import Channel, InvalidOption, Pool, Threads


def generator(_message):
    yield


async def asynchronous_generator(_message):
    yield


class Calls:
    def __call__(self, _message):
        yield

    def method(self, _message):
        yield


SINKS = [generator, asynchronous_generator, Calls(), Calls().method, functools.partial(generator)]


@pytest.mark.parametrize("sink", SINKS, ids=["generator", "async generator", "object", "method", "partial"])
def test_a_sink_that_nobody_would_run_is_refused(sink):
    with pytest.raises(InvalidOption, match="on_outbound must be a function or an async def: nobody would run its generator"):
        Channel(on_outbound=sink)


@pytest.mark.parametrize("kind", [Pool, Threads])
def test_one_runtime_for_two_channels_is_refused_also_when_the_first_is_closed(kind):
    runtime = kind()
    with Channel(runtime=runtime), pytest.raises(InvalidOption, match="runtime must be the channel's own"):
        Channel(runtime=runtime)
    with pytest.raises(InvalidOption, match="runtime must be the channel's own"):
        Channel(runtime=runtime)


CLOSING = """
import os, signal, sys, threading
from lightspeed.channel import Broadcast, Channel, Join
channel = Channel(timeout_s=10)
channel.handle(Join("a", "x", "u", 1))
def end(*_):
    channel.close()
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    channel.tell(Broadcast("a", "x", "p"))
    if len(channel._outbox.emitted) > 100:
        channel.flush_outbox()
"""


@pytest.mark.slow
def test_a_handler_of_a_signal_may_close_the_channel_and_end_the_process():
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", CLOSING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGTERM)
        _out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (7, "")
