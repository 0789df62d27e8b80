import threading

import pytest

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.actors.workers import blocking, wait_for


def test_elsewhere_than_in_a_worker_it_does_nothing():
    with blocking, blocking:
        pass
    with pytest.raises(ValueError, match="planted"), blocking:
        raise ValueError("planted")


def test_a_wait_ends_when_the_lock_is_released_or_the_time_is_over():
    signal = threading.Lock()
    signal.acquire()
    assert not wait_for(signal, 0.001)
    signal.release()
    assert wait_for(signal, None)
    assert not wait_for(signal, 0)


def test_a_wait_of_several_slices_ends_when_the_lock_is_released(monkeypatch):
    monkeypatch.setattr("lightspeed.actors.workers._SLICES_S", (0.001,))
    signal = threading.Lock()
    signal.acquire()
    threading.Timer(0.01, signal.release).start()
    assert wait_for(signal, 20)


def test_while_a_worker_waits_another_one_does_what_ends_the_wait():
    class Doer(PooledActor):
        def on_receive(self, message):
            return message()

    pool, signal = ActorPool(), threading.Lock()
    signal.acquire()
    one, other = Doer.start(pool=pool), Doer.start(pool=pool)

    def wait_for_the_other():
        other.tell(signal.release)
        return wait_for(signal, 10)

    assert one.ask(wait_for_the_other, timeout=10)
    for ref in (one, other):
        ref.stop()
    assert pool.close(10) == []
