"""Children by the hundred thousand; after OTP's cases of scale, and named after them."""

import gc
import time

import pytest
from stage import counts

from lightspeed.actors import PooledActor
from lightspeed.supervision import ChildSpec

pytestmark = pytest.mark.slow


@pytest.fixture
def worker(pooled_stage):
    class Worker(PooledActor):
        registered = False

        def __init__(self):
            super().__init__(pool=pooled_stage.pool)

    return Worker


def seconds(call):
    start_s = time.perf_counter()
    call()
    return time.perf_counter() - start_s


def test_simple_one_for_one_scale_many_temporary_children(pooled_stage, worker):
    """A hundred thousand come, some fail, and all go with their supervisor."""
    sup = pooled_stage.start()
    for number in range(100_000):
        sup.start_child(ChildSpec(number, worker, kind="temporary"))
    assert counts(sup) == [100_000, 100_000, 0, 100_000]
    for number in range(0, 100_000, 1000):
        sup.terminate_child(number)
    assert counts(sup) == [99_900, 99_900, 0, 99_900]
    assert sup.stop(timeout=30)


def test_scale_start_stop_many_children(pooled_stage, worker):
    """Starting and stopping ten times as many takes about ten times as long."""
    sup = pooled_stage.start()

    def start_and_stop(count):
        specs = [ChildSpec(number, worker) for number in range(count)]
        gc.collect()
        start_s = seconds(lambda: [sup.start_child(spec) for spec in specs])
        stop_s = seconds(lambda: [sup.terminate_child(spec.id) for spec in specs])
        for spec in specs:
            sup.delete_child(spec.id)
        return start_s, stop_s

    few, many = start_and_stop(1000), start_and_stop(10_000)
    assert many[0] < 50 * few[0]
    assert many[1] < 50 * few[1]
