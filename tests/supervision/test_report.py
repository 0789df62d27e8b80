import pytest
from loguru import logger
from stage import Ear, end, in_phase, ref_of, settled, views

from lightspeed.actors import Shutdown, watch
from lightspeed.actors.logs import settle
from lightspeed.actors.text import named

ABNORMAL = ValueError("planted")


@pytest.fixture
def records():
    """What a supervisor writes while lightspeed is enabled."""
    got = []
    sink = logger.add(lambda message: got.append(message.record), level="DEBUG", format="{message}")
    logger.enable("lightspeed")
    yield got
    logger.disable("lightspeed")
    logger.remove(sink)


def reports(records):
    settle()
    return [record for record in records if record["name"] == "lightspeed.supervision.report"]


def test_a_crash_is_reported_with_child_reason_traceback_and_the_restarts_left(stage, records):
    sup = stage.start("a", intensity=3)
    end(ref_of(sup, "a"), ABNORMAL)
    settled(sup)
    (record,) = reports(records)
    assert record["extra"] == {"child": "a", "reason": "abnormal", "restarts_left": 3}
    assert record["level"].name == "ERROR"
    first, *lines = record["message"].split("\n")
    assert first == "child a ended, abnormal: ValueError: planted; it is restarted"
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "ValueError: planted")


def test_a_good_end_is_no_error(stage, records):
    sup = stage.start(stage.spec("a", kind="transient"), stage.spec("b", kind="temporary"))
    end(ref_of(sup, "a"))
    end(ref_of(sup, "b"), Shutdown("done"))
    settled(sup)
    assert [(record["level"].name, record["message"]) for record in reports(records)] == [
        ("INFO", "child a ended, normal; it is not restarted"),
        ("INFO", "child b ended, shutdown: Shutdown: shutdown: done; it is not restarted"),
    ]


def test_failed_restarts_and_the_end_of_the_supervisor_are_reported(stage, records):
    sup, ear = stage.start("a", intensity=2), Ear()
    watch(sup, ear)
    stage.fail("a", "on_start", OSError("disk"))
    end(ref_of(sup, "a"), ABNORMAL)
    ear.next()
    found = [(record["message"].split("\n")[0], record["extra"].get("restarts_left")) for record in reports(records)]
    assert found == [
        ("child a ended, abnormal: ValueError: planted; it is restarted", 2),
        ("child a could not be restarted: OSError: disk", 1),
        ("child a could not be restarted: OSError: disk", 0),
        ("a supervisor ends: RestartsExceeded: more than 2 restarts in 5 s, the last one wanted by child 'a'", None),
    ]


def test_an_abandoned_actor_is_named(stage, records):
    sup = stage.start(stage.spec("a", shutdown_s=1))
    actor = ref_of(sup, "a")
    stage.hold("a", "on_stop")
    stopping = stage.soon(sup.terminate_child, "a")
    in_phase(sup, "a", "stopping")
    stage.clock.advance(1)
    stopping.result(20)
    (record,) = reports(records)
    assert record["message"] == f"child a is abandoned in its stop: {named(actor)} may still be running"
    assert record["level"].name == "WARNING"


def test_a_failure_while_it_was_stopped_is_reported_and_restarts_nothing(stage, records):
    sup = stage.start("a")
    stage.fail("a", "on_stop", ABNORMAL)
    sup.terminate_child("a")
    (record,) = reports(records)
    assert record["message"].startswith("child a failed while it was stopped: abnormal: ValueError: planted\nTraceback")
    assert views(sup)["a"].phase == "stopped"
