import threading

import pykka
import pytest

from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.threaded import DrainableMailbox


def test_what_comes_when_the_actor_is_dead_is_answered_by_whoever_brings_it():
    inbox = DrainableMailbox()
    inbox.stopped = threading.Event()
    inbox.stopped.set()
    asked, stopped = PooledFuture(), PooledFuture()
    inbox.put(Envelope("too late", reply_to=asked))
    inbox.put(Envelope(STOP, reply_to=stopped))
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=0)
    assert stopped.get(timeout=0) is None


@pytest.mark.slow
def test_taking_what_is_left_races_with_the_actors_own_end_and_loses_nothing():
    for _ in range(300):
        inbox = DrainableMailbox()
        inbox.stopped = threading.Event()
        for number in range(50):
            inbox.put(Envelope(number))
        inbox.stopped.set()
        teardown = threading.Thread(target=inbox.empty)
        teardown.start()
        left = inbox.drain()
        teardown.join()
        assert left + inbox.drain() == list(range(50))
