import logging
import subprocess
import sys
import threading

import pykka
import pytest
from loguru import logger

from lightspeed.actors import ActorPool, PooledActor, watch
from lightspeed.actors.logs import PykkaRecords, lead_pykka_records, settle
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.channel import Channel, Crash, Join, Leave, Pool, Threads


@pytest.fixture
def records():
    """What loguru gets, with lightspeed enabled."""
    got = []
    sink = logger.add(lambda message: got.append(message.record), level="DEBUG", format="{message}")
    logger.enable("lightspeed")
    yield got
    logger.disable("lightspeed")
    logger.remove(sink)


@pytest.fixture(params=[Threads, Pool], ids=["threads", "pool"])
def fail_a_topic(request, monkeypatch, on_workers):
    """A topic fails, of something that nobody ordered."""

    def fail(_state, _event):
        raise ValueError("planted")

    def run():
        with Channel(runtime=request.param()) as channel:
            channel.handle(Join("c", "room:1", "u", 1))
            monkeypatch.setattr(TopicState, "handle", fail)
            channel.handle(Leave("c", "room:1"))

    return run


def crash_a_channel():
    with Channel(on_outbound=failing_sink) as channel:
        for number in range(20):
            channel.handle(Join("c", f"room:{number}", "u", 1))
        channel.handle(Crash("power"))


def failing_sink(_message):
    raise ValueError("planted")


def test_a_crash_of_many_topics_writes_one_line(records):
    crash_a_channel()
    (crash,) = [r["message"] for r in records if not r["message"].startswith(("the sink failed", "dead letter"))]
    assert crash == "channel crashed: power; topic actors: 20"


def test_a_failure_is_reported_once_with_traceback_and_what_the_supervisor_knows(records, fail_a_topic):
    fail_a_topic()
    settle()
    (failure,) = [r for r in records if r["message"].startswith("topic room:1 failed")]
    assert failure["extra"] == {"topic": "room:1", "incarnation": 1, "restarts_left": 2, "inbox_length": 0}
    assert failure["level"].name == "ERROR"
    first, *lines, last = failure["message"].split("\n")
    assert (first, last) == ("topic room:1 failed: ValueError: planted", "ValueError: planted")
    assert lines[0] == "Traceback (most recent call last):"
    assert 'raise ValueError("planted")' in lines[-1]


def test_pykkas_records_go_the_same_way_with_the_same_fields(records, fail_a_topic):
    fail_a_topic()
    (pykkas,) = [r for r in records if r["name"] == "pykka"]
    assert pykkas["message"].startswith("Unhandled exception in TopicActor")
    assert pykkas["extra"] == {"topic": "room:1", "incarnation": 1}


def test_what_a_sink_raises_is_logged(records):
    crash_a_channel()
    settle()
    failures = [r for r in records if r["message"].startswith("the sink failed on")]
    assert len(failures) == 41
    assert all(r["message"].endswith("\nValueError: planted") for r in failures)


class Failing(pykka.ThreadingActor):
    def on_receive(self, message):
        raise RuntimeError(message)


def test_the_failure_of_another_pykka_actor_keeps_its_traceback(records):
    ref = Failing.start()
    ref.tell("foreign")
    ref.stop()
    (failure,) = [r for r in records if r["exception"]]
    assert failure["name"] == "pykka"
    assert str(failure["exception"].value) == "foreign"
    assert failure["extra"] == {}


RUN = """
import pykka
{setup}
from lightspeed.channel import Channel, Crash, Join
with Channel() as channel:
    channel.handle(Join("c", "room:1", "u", 1))
    channel.handle(Crash("power"))
class Other(pykka.ThreadingActor):
    def on_receive(self, message): raise RuntimeError("foreign")
{other}
"""
OTHER = "ref = Other.start(); ref.tell(1); ref.stop()"


def stderr_of(setup="", other=""):
    code = RUN.format(setup=setup, other=other)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True).stderr


def test_it_is_silent_until_it_is_enabled():
    assert stderr_of() == ""


def test_enabled_it_speaks():
    text = stderr_of(setup="from loguru import logger; logger.enable('lightspeed')")
    assert "channel crashed: power; topic actors: 1" in text


def test_handlers_of_the_users_on_pykkas_logger_get_what_they_always_got():
    assert stderr_of(other=OTHER) == ""
    text = stderr_of(setup="import logging; logging.basicConfig()", other=OTHER)
    assert text.count("Traceback") == 1


def test_pykkas_logger_gets_one_handler_however_often_it_is_asked_for():
    lead_pykka_records()
    assert [type(handler) for handler in logging.getLogger("pykka").handlers].count(PykkaRecords) == 1


def exits(*_args, **_options):
    sys.exit("from the log")


BAD_LOGS = {
    "a loguru sink": lambda patch: logger.add(exits, catch=False),
    "a loguru patcher": lambda patch: logger.configure(patcher=exits),
    "a loguru filter": lambda patch: logger.add(lambda message: None, filter=exits, catch=False),
    "a filter of Pykka's logger": lambda patch: patch.setattr(logging.getLogger("pykka"), "filters", [exits]),
    "a handler of Pykka's logger": lambda patch: patch.setattr(logging.getLogger("pykka"), "handlers", [Exiting()]),
    "levels of other names": lambda patch: patch.setitem(logging._levelToName, logging.ERROR, "ERR"),
}


class Exiting(logging.Handler):
    def emit(self, record):
        exits()


@pytest.mark.parametrize("what", BAD_LOGS)
def test_a_log_that_fails_harms_nobody(what, records, monkeypatch, capsys):
    class Bad(PooledActor):
        def on_receive(self, message):
            raise ValueError(message)

    class Echo(Bad):
        def on_receive(self, message):
            return message

    pool, told = ActorPool(), threading.Event()
    bad, echo = Bad.start(pool=pool), Echo.start(pool=pool)
    watch(bad, lambda _down: told.set())
    sink = BAD_LOGS[what](monkeypatch)
    try:
        bad.tell("x")
        assert told.wait(10)
        assert echo.ask(1, timeout=5) == 1
        assert settle(5)
    finally:
        logger.configure(patcher=lambda record: None)
        if isinstance(sink, int):
            logger.remove(sink)
    echo.stop()
    assert pool.close(5) == []


def test_a_failure_arrives_once_where_loguru_hands_its_records_to_standard_logging(monkeypatch):
    seen = []

    class Seen(logging.Handler):
        def emit(self, record):
            seen.append(record.name)

    class Propagate(logging.Handler):
        def emit(self, record):
            logging.getLogger(record.name).handle(record)

    monkeypatch.setattr(logging.getLogger(), "handlers", [Seen()])
    sink = logger.add(Propagate(), format="{message}")
    logger.enable("lightspeed")
    try:
        ref = Failing.start()
        ref.tell("foreign")
        ref.stop()
        assert settle(5)
    finally:
        logger.disable("lightspeed")
        logger.remove(sink)
    assert seen.count("pykka") == 1


@pytest.mark.parametrize("first", ["import lightspeed.channel", "pass"])
def test_it_may_be_enabled_before_the_first_import(first):
    text = stderr_of(setup=f"from loguru import logger; {first}; logger.enable('lightspeed'); import lightspeed.channel")
    assert "channel crashed: power" in text
