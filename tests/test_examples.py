"""Each example is run as its reader runs it, and what it prints is read."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis_server import server, server_of

__all__ = ["server", "server_of"]

ROOT = Path(__file__).parent.parent
TRACE = "examples/netsplit.jsonl"

pytestmark = pytest.mark.slow  # each test starts an interpreter

QUICKSTART = """\
reply to phone in room:1: ok, joined
presence in room:1: joined ['alice']
reply to laptop in room:1: ok, joined
presence in room:1: joined ['bob']
broadcast in room:1: 'hello' to phone, laptop
System(label='crashed:power cut')
reply to laptop in room:1: error, crashed
System(label='restarted')
reply to phone in room:1: ok, rejoined
presence in room:1: joined ['alice']
"""

NETSPLIT_EVENTS = """\
{"type":"join","client_id":"phone","topic":"room:lobby","user_id":"alice","now_ms":1000}  ->  ok joined, presence +alice
{"type":"join","client_id":"laptop","topic":"room:lobby","user_id":"alice","now_ms":1001}  ->  ok joined, presence +alice
{"type":"join","client_id":"tablet","topic":"room:lobby","user_id":"bob","now_ms":1002}  ->  ok joined, presence +bob
{"type":"join","client_id":"phone","topic":"room:kitchen","user_id":"alice","now_ms":1003}  ->  ok joined, presence +alice
{"type":"join","client_id":"desktop","topic":"room:garden","user_id":"carol","now_ms":1004}  ->  ok joined, presence +carol
{"type":"crash","reason":"netsplit"}  ->  System(label='crashed:netsplit')
{"type":"broadcast","client_id":"phone","topic":"room:lobby","payload":"hello?"}  ->  error crashed
{"type":"leave","client_id":"desktop","topic":"room:garden"}  ->  error crashed
{"type":"join","client_id":"phone","topic":"room:lobby","user_id":"alice","now_ms":1000}  ->  error crashed
{"type":"restart"}  ->  System(label='restarted')
{"type":"rejoin","client_id":"phone","topic":"room:lobby","user_id":"alice","now_ms":2000}  ->  ok rejoined, presence +alice
{"type":"rejoin","client_id":"laptop","topic":"room:lobby","user_id":"alice","now_ms":2001}  ->  ok rejoined, presence +alice
{"type":"rejoin","client_id":"tablet","topic":"room:lobby","user_id":"bob","now_ms":2002}  ->  ok rejoined, presence +bob
{"type":"rejoin","client_id":"phone","topic":"room:kitchen","user_id":"alice","now_ms":2003}  ->  ok rejoined, presence +alice
{"type":"rejoin","client_id":"desktop","topic":"room:garden","user_id":"carol","now_ms":2004}  ->  ok rejoined, presence +carol
{"type":"rejoin","client_id":"desktop","topic":"room:garden","user_id":"carol","now_ms":2004}  ->  ok rejoined
"""

NETSPLIT_STATES = [
    "Crashed: False. Members: 5. Topics: 3. Present:",
    "Crashed: True. Members: 0. Topics: 0. Present:",
    "Crashed: True. Members: 0. Topics: 0. Present:",
    "Crashed: False. Members: 0. Topics: 0. Present:",
    "Crashed: False. Members: 5. Topics: 3. Present:",
]

PLAYED = """\
{"type":"reply","client_id":"phone","topic":"room:lobby","status":"ok","payload":"joined"}
{"type":"presence_diff","topic":"room:lobby","diff":{"topic":"room:lobby","joins":[{"key":"alice","metas":[{"ref":"phone:1000","online_at_ms":1000}]}],"leaves":[]}}
{"type":"reply","client_id":"tablet","topic":"room:lobby","status":"ok","payload":"joined"}
{"type":"presence_diff","topic":"room:lobby","diff":{"topic":"room:lobby","joins":[{"key":"bob","metas":[{"ref":"tablet:1001","online_at_ms":1001}]}],"leaves":[]}}
{"type":"reply","client_id":"desktop","topic":"room:garden","status":"ok","payload":"joined"}
{"type":"presence_diff","topic":"room:garden","diff":{"topic":"room:garden","joins":[{"key":"carol","metas":[{"ref":"desktop:1002","online_at_ms":1002}]}],"leaves":[]}}
{"type":"reply","client_id":"phone","topic":"room:garden","status":"ok","payload":"joined"}
{"type":"presence_diff","topic":"room:garden","diff":{"topic":"room:garden","joins":[{"key":"alice","metas":[{"ref":"phone:1003","online_at_ms":1003}]}],"leaves":[]}}
{"type":"broadcast_message","topic":"room:lobby","payload":"good morning","recipients":["phone","tablet"]}
{"type":"push_message","client_id":"desktop","topic":"room:garden","event":"weather","payload":"rain"}
{"type":"reply","client_id":"phone","topic":"room:garden","status":"ok","payload":"left"}
{"type":"presence_diff","topic":"room:garden","diff":{"topic":"room:garden","joins":[],"leaves":[{"key":"alice","metas":[{"ref":"phone:1003","online_at_ms":1003}]}]}}
{"type":"reply","client_id":"phone","topic":"room:garden","status":"error","payload":"not_joined"}
{"type":"system","label":"crashed:netsplit"}
{"type":"reply","client_id":"tablet","topic":"room:lobby","status":"error","payload":"crashed"}
{"type":"reply","client_id":"laptop","topic":"room:lobby","status":"error","payload":"crashed"}
{"type":"system","label":"restarted"}
{"type":"reply","client_id":"phone","topic":"room:lobby","status":"ok","payload":"rejoined"}
{"type":"presence_diff","topic":"room:lobby","diff":{"topic":"room:lobby","joins":[{"key":"alice","metas":[{"ref":"phone:3000","online_at_ms":3000}]}],"leaves":[]}}
{"type":"reply","client_id":"tablet","topic":"room:lobby","status":"ok","payload":"rejoined"}
{"type":"presence_diff","topic":"room:lobby","diff":{"topic":"room:lobby","joins":[{"key":"bob","metas":[{"ref":"tablet:3001","online_at_ms":3001}]}],"leaves":[]}}
{"type":"reply","client_id":"desktop","topic":"room:garden","status":"ok","payload":"rejoined"}
{"type":"presence_diff","topic":"room:garden","diff":{"topic":"room:garden","joins":[{"key":"carol","metas":[{"ref":"desktop:3002","online_at_ms":3002}]}],"leaves":[]}}
{"type":"reply","client_id":"desktop","topic":"room:garden","status":"ok","payload":"rejoined"}
{"type":"broadcast_message","topic":"room:lobby","payload":"back again","recipients":["phone","tablet"]}
"""

LOBBY = """\
  PushMessage(client_id='phone', topic='lobby:1', event='games', payload='none')
  PushMessage(client_id='laptop', topic='lobby:1', event='games', payload='none')
ann will open chess: number one
bob will open go: number two
ann will open skat: error: topic_crashed
  TopicDown(topic='lobby:1', reason='error')
  TopicUp(topic='lobby:1')
  PushMessage(client_id='phone', topic='lobby:1', event='games', payload='chess by ann, go by bob')
  TopicDown(topic='lobby:1', reason='error')
  TopicUp(topic='lobby:1')
  PushMessage(client_id='laptop', topic='lobby:1', event='games', payload='chess by ann, go by bob')
bob will play chess: against ann
ann will play skat: error: no game skat
there: ['ann in red', 'bob in blue']
"""

JOBS = """\
running
1996 done, 4 failed
1996 stored
4 restarts
"""

FLASK = """\
POST 202
POST 202
POST 202
GET 200 ['ann']
['tea number 1', 'tea number 2', 'tea number 3']
"""

FASTAPI = """\
ann <- here: ann
bob <- here: ann, bob
bob <- bob: hello
bob <- topic_crashed
bob <- TopicDown(topic='tea', reason='error')
bob <- TopicUp(topic='tea')
bob <- here: ann, bob
bob <- bob: rolls 1
ann <- here: ann, bob
ann <- bob: hello
ann <- TopicDown(topic='tea', reason='error')
ann <- TopicUp(topic='tea')
ann <- here: ann, bob
ann <- bob: rolls 1
ann <- here: ann
"""

CROWD = """\
joined: 200
heard: 4000
room:0 has failed: error: topic_crashed
told TopicDown: 20
told TopicUp: 20
came back: 20
the others were told: 0
threads: 1
"""

SUMMARY = """\
events 17
join 5
rejoin 4
leave 1
broadcast 4
push 1
crash 1
restart 1
outbound 25
reply 12
push_message 1
broadcast_message 2
presence_diff 8
system 2
deliveries 17
crashes survived 1
members at the end 3
topics at the end 2
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own with these arguments, in the project's folder; what it prints is UTF-8."""
    command = [sys.executable, "-X", "utf8", "-W", "error", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=30, check=False)


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", "play", *arguments)


def test_quickstart_prints_the_way_through_a_crash() -> None:
    done = run("examples/quickstart.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, QUICKSTART, "")


def test_netsplit_prints_each_event_with_what_came_out_of_it() -> None:
    done = run("examples/netsplit.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.strip() for line in done.stdout.splitlines() if "  ->  " in line] == NETSPLIT_EVENTS.splitlines()


def test_netsplit_prints_who_is_present_before_and_after() -> None:
    lines = [line.strip() for line in run("examples/netsplit.py").stdout.splitlines()]
    assert [line for line in lines if line.startswith("Crashed: ")] == NETSPLIT_STATES
    assert [line for line in lines if line.startswith("room:lobby: ")] == [
        "room:lobby: alice with phone:1000 and laptop:1001, bob with tablet:1002",
        "room:lobby: nobody",
        "room:lobby: nobody",
        "room:lobby: nobody",
        "room:lobby: alice with phone:2000 and laptop:2001, bob with tablet:2002",
    ]


def test_the_trace_plays_into_these_messages() -> None:
    done = play(TRACE)
    assert (done.returncode, done.stdout, done.stderr) == (0, PLAYED, "")


def test_the_summary_of_the_trace_counts_what_was_played() -> None:
    done = play(TRACE, "--summary")
    *rows, speed = [" ".join(line.split()) for line in done.stderr.splitlines()]
    assert (done.returncode, done.stdout, rows) == (0, PLAYED, SUMMARY.splitlines())
    assert speed.startswith("events per second ")


def test_the_service_of_tasks_restarts_what_fails_and_leaves_what_hangs() -> None:
    done = run("examples/service.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *(f"reading {number}" for number in (1, 2, 4, 5, 7, 8, 9, 10, 11, 12)),
        "the poller was restarted 2 times",
        "abandoned: 1",
        "the heart has beaten: True and all have ended: True",
    ]


def test_every_example_is_short_enough_to_read() -> None:
    lengths = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "examples").iterdir() if path.is_file()
    }
    assert {name for name, length in lengths.items() if length >= 60} == set()


def test_rooms_prints_refusals_answers_a_failure_and_who_is_there_after_it() -> None:
    done = run("examples/rooms.py")
    assert (done.returncode, done.stderr) == (0, "")
    payloads = [line.split('"payload":')[1].rstrip("}") for line in done.stdout.splitlines() if '"type":"reply"' in line]
    assert payloads == [
        '"hush, ann; 0 said"',
        '"hush, ben; 0 said"',
        '"full"',
        '"FIRE"',
        '"topic_crashed"',
        '"left"',
        '"hush, cai; 1 said"',
    ]
    assert '"payload":"fire","recipients":["c1","c2"]' in done.stdout
    assert done.stdout.count('"event":"topic_crashed"') == 2
    assert '{"type":"system","label":"topic_restarted:reading:1"}' in done.stdout


def test_the_lobby_comes_up_with_its_games_and_its_clients() -> None:
    done = run("examples/lobby.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, LOBBY, "")


def test_the_jobs_end_by_themselves_with_figures() -> None:
    done = run("examples/jobs.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, JOBS, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody can be sent a SIGTERM")
def test_the_jobs_end_in_good_order_at_a_sigterm() -> None:
    command = [sys.executable, "-X", "utf8", "-W", "error", "examples/jobs.py", "--jobs", "1000000000"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "running\n"
            program.send_signal(signal.SIGTERM)
            printed, errors = program.communicate(timeout=30)
        finally:
            program.kill()
    assert (program.returncode, errors) == (0, "")
    figures = re.fullmatch(r"SIGTERM\n(\d+) done, (\d+) failed\n(\d+) stored\n(\d+) restarts\n", printed)
    assert figures is not None, printed
    done, failed, stored, restarts = map(int, figures.groups())
    assert (done, failed) == (stored, restarts)


def test_flask_tells_a_channel_from_its_request_threads() -> None:
    done = run("examples/flask_tell.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, FLASK, "")


def test_fastapi_chats_over_a_room_that_fails_and_heals() -> None:
    done = run("examples/fastapi_chat.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, FASTAPI, "")


def test_a_crowd_on_one_loop_is_told_of_a_room_that_failed_and_comes_back() -> None:
    done = run("examples/crowd.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, CROWD, "")


@pytest.mark.parametrize(("needs", "example"), [("flask", "flask_tell.py"), ("fastapi", "fastapi_chat.py")])
def test_without_its_framework_an_example_says_what_it_needs(needs: str, example: str) -> None:
    done = run("-c", f"import runpy, sys; sys.modules['{needs}'] = None; runpy.run_path('examples/{example}')")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install '.[demo]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_table_of_metrics_has_a_row_each_second_and_ends_by_itself() -> None:
    done = run("examples/metrics_table.py", "2")
    assert (done.returncode, done.stderr) == (0, "")
    heads, *rows = done.stdout.splitlines()
    assert heads.split() == ["second", "accepted", "handled", "slowest", "ms", "shed", "failed", "restarted"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert all(int(row.split()[1]) > 0 < int(row.split()[2]) for row in rows)


NODES = ["ann hears: hello from bob", "ann sees ann, bob", "bob hears: hello from ann", "bob sees ann, bob"]


def test_two_nodes_chat_in_one_process_and_in_two_over_a_redis(server: Any) -> None:
    for arguments in ((), (server.url,)):
        done = run("examples/nodes.py", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(done.stdout.splitlines()) == NODES
