import pytest

from lightspeed.actors.errors import ChildNotFound, SupervisorStopped
from lightspeed.actors.future import PooledFuture
from lightspeed.supervision.children import ChildName, SupervisedChild
from lightspeed.supervision.jobs import Job, Lanes


@pytest.fixture
def child():
    return SupervisedChild(None, ChildName("a", hash("a")))


def steps(child, done, name, waits=1, error=None):
    for _ in range(waits):
        yield child
    done.append(name)
    if error is not None:
        raise error
    return name


def test_in_one_lane_goes_one_job_at_a_time_and_lanes_do_not_wait_for_one_another(child):
    lanes, done = Lanes(lambda actor: None), []
    lanes.run(1, Job(steps(child, done, "first")))
    lanes.run(1, Job(steps(child, done, "second", waits=0)))
    lanes.run(2, Job(steps(child, done, "beside", waits=0)))
    assert done == ["beside"]
    assert child.waiter == 1
    lanes.resume(1)
    assert done == ["beside", "first", "second"]
    assert lanes.are_free


def test_who_waits_for_a_job_gets_what_it_returns_or_the_error_it_raised(child):
    lanes, good, bad = Lanes(lambda actor: None), PooledFuture(), PooledFuture()
    lanes.run(1, Job(steps(child, [], "value"), good))
    lanes.run(1, Job(steps(child, [], "", waits=0, error=ChildNotFound("a")), bad))
    lanes.resume(1)
    assert good.get() == "value"
    with pytest.raises(ChildNotFound):
        bad.get()
    assert lanes.are_free


def test_what_a_job_of_nobodys_raises_comes_out(child):
    lanes = Lanes(lambda actor: None)
    lanes.run(1, Job(steps(child, [], "", error=ChildNotFound("a"))))
    with pytest.raises(ChildNotFound):
        lanes.resume(1)


def test_dropped_jobs_end_where_they_stand_and_are_answered(child):
    lanes, done, replies = Lanes(lambda actor: None), [], [PooledFuture(), PooledFuture()]
    for reply in replies:
        lanes.run(1, Job(steps(child, done, "never"), reply))
    lanes.drop(SupervisorStopped())
    lanes.resume(1)
    assert done == []
    for reply in replies:
        with pytest.raises(SupervisorStopped):
            reply.get()


def test_a_job_may_add_another_to_its_own_lane(child):
    lanes, done = Lanes(lambda actor: None), []

    def adds():
        lanes.run(1, Job(steps(child, done, "behind", waits=0)))
        done.append("first")
        return
        yield

    lanes.run(1, Job(adds()))
    assert done == ["first", "behind"]
