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
    """Of this process: others may share the machine."""
    start_s = time.process_time()
    call()
    return time.process_time() - start_s


@pytest.mark.parametrize("many", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_simple_one_for_one_scale_many_temporary_children(pooled_stage, worker, many):
    """They come, some fail, and all go with their supervisor."""
    sup = pooled_stage.start()
    for number in range(many):
        sup.start_child(ChildSpec(number, worker, kind="temporary"))
    assert counts(sup) == [many, many, 0, many]
    for number in range(0, many, many // 100):
        sup.terminate_child(number)
    left = many - 100
    assert counts(sup) == [left, left, 0, left]
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

    few, many = start_and_stop(400), start_and_stop(4_000)
    assert many[0] < 50 * few[0]
    assert many[1] < 50 * few[1]
