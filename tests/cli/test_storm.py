"""A storm in small: it ends, and accounts for every event."""

import json
from unittest.mock import patch

import pytest

from lightspeed.channel import FaultPlan, Mailbox
from lightspeed.cli.main import main
from lightspeed.cli.storm import lines_of
from lightspeed.cli.storm_run import Settings, Storm, small_mailboxes
from lightspeed.faults import Raise, Slow
from lightspeed.supervision.topics import TopicSupervisor

pytestmark = pytest.mark.slow


def storm(*arguments):
    return main(["storm", "--seconds", "0.3", "--topics", "20", "--clients", "40", "--threads", "2", "--quiet", *arguments])


@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_every_event_is_accounted_for(tmp_path, capsys, rejoin):
    assert storm("--rejoin", rejoin, "--json", str(tmp_path / "r.json")) == 0
    assert "unaccounted for" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["account"]["sent"] > 0
    assert sum(report["faults"].values()) > 0


def test_of_threads_there_are_no_more_than_clients(capsys):
    assert storm("--threads", "3", "--clients", "2") == 0
    told = capsys.readouterr()
    assert "2 clients, 2 threads" in told.out
    assert not told.err


def test_an_event_that_vanishes_is_told_and_fails_the_storm(tmp_path, capsys):
    (tmp_path / "plan.json").write_bytes(FaultPlan((Raise(every=3),)).to_json())
    with patch.object(TopicSupervisor, "_answer", lambda *_: None):  # what a topic failed on is answered by nobody
        assert storm("--plan", str(tmp_path / "plan.json"), "--listeners", "1") == 1  # each join of one that fails takes its time
    assert "some of the events unaccounted for" in capsys.readouterr().out


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest", "drop_newest", "wait"])
def test_what_finds_no_room_in_a_mailbox_is_accounted_for_whatever_becomes_of_it(overflow):
    settings = Settings(
        seconds=0.6, topics=("x",), clients=4, threads=1, seed=1, mailboxes={"x": Mailbox(max_messages=3, overflow=overflow)}
    )
    report = Storm(settings, FaultPlan((Slow(0.05, every=1),))).run(lambda _storm: None)
    shed = {fate: count for fate, count in report.account.became.items() if "overloaded" in fate}
    assert report.account.unaccounted == 0
    assert report.shed == sum(shed.values()) > 0
    assert ("dead letter: overloaded" in shed) == overflow.startswith("drop")
    assert ["shed,", "since", "a", "mailbox", "was", "full", f"{report.shed:,}"] in [line.split() for line in lines_of(report)]


def test_small_mailboxes_are_of_topics_of_both_kinds_with_every_way_to_overflow():
    topics = tuple(f"{('relay', 'room')[number % 2]}:{number}" for number in range(24))
    ways = {(topic.partition(":")[0], mailbox.overflow) for topic, mailbox in small_mailboxes(topics).items()}
    assert ways == {(kind, way) for kind in ("relay", "room") for way in ("refuse", "drop_oldest", "drop_newest", "wait")}


def test_it_prints_a_plan_that_it_reads_again(tmp_path, capsys):
    assert main(["storm", "--print-plan"]) == 0
    text = capsys.readouterr().out
    assert FaultPlan.from_json(text).faults
    (tmp_path / "plan.json").write_text(text)
    assert storm("--plan", str(tmp_path / "plan.json")) == 0


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--topics", "none"], ["--rejoin", "never"], ["--plan", "no.json"]])
def test_bad_input_is_refused(arguments, capsys):
    try:
        status = main(["storm", *arguments])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    assert capsys.readouterr().err
