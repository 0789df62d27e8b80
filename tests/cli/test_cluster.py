"""`lightspeed cluster`, on a Redis of the test's own."""

import os
import signal
import subprocess
import sys

import pytest
from redis_server import free_port

from lightspeed.channel import Broadcast, Channel, ClusterReady, Join
from lightspeed.cli.main import main
from lightspeed.cluster import RedisEngine

COMMAND = [sys.executable, "-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", "cluster", "watch"]
pytestmark = pytest.mark.slow  # each starts a server


def node(name, url, **options):
    return Channel(ClusterReady(name, "chat", RedisEngine(url, **options), lease_s=3.0, beat_s=0.2))


def test_a_fit_redis_has_nothing_said_against_it(server, capsys):
    assert main(["cluster", "check", server.url]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if not line.startswith("pubsub"))
    assert rows["mode"] == "single"
    assert rows["memory"] == "no limit, noeviction"
    assert rows["version"].split(".")[0] >= "7"
    assert rows["clock"].endswith("this machine's")


@pytest.mark.parametrize(
    ("options", "against"),
    [
        (
            ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            "at most 104,857,600 bytes, allkeys-lru - leases may be evicted",
        ),
        (
            ("--client-output-buffer-limit", "pubsub 1mb 0 0"),
            "cut at 1,048,576 bytes, or over 0 for 0 s - nodes that are slow are cut",
        ),
        (("--cluster-enabled", "yes"), "Redis Cluster - not supported"),
    ],
)
def test_what_is_not_fit_is_said(server_of, capsys, options, against):
    port = ("--cluster-port", str(free_port())) if "--cluster-enabled" in options else ()
    assert main(["cluster", "check", server_of(*options, *port).url]) == 1
    assert against in capsys.readouterr().out


def test_what_may_not_be_read_is_said_and_is_nothing_against_it(server, capsys):
    server.ask("ACL", "SETUSER", "default", "-config")
    assert main(["cluster", "check", server.url]) == 0
    assert "not to be read" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "watch"])
def test_a_redis_that_cannot_be_asked_is_said_without_its_password(capsys, command):
    assert main(["cluster", command, f"redis://me:secret@127.0.0.1:{free_port()}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("lightspeed: redis://127.0.0.1:")
    assert "secret" not in said


@pytest.mark.parametrize("command", ["check", "watch"])
def test_a_url_that_is_none_is_refused(capsys, command):
    assert main(["cluster", command, "http://host"]) == 2
    assert "lightspeed: url must begin with redis://" in capsys.readouterr().err


def test_without_redis_py_it_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    assert main(["cluster", "check", "redis://host"]) == 2
    assert "pip install 'lightspeed-channels[redis]'" in capsys.readouterr().err


def test_watch_shows_each_node_its_beat_lease_and_rates_and_is_taken_for_none(server, capsys):
    with node("a", server.url) as a, node("b", server.url), node("c", server.url, prefix="other:"):
        a.handle(Join("of ann", "t", "ann", 1))
        assert main(["cluster", "watch", server.url, "--seconds", "1.2"]) == 0
        assert server.ask("PUBSUB", "NUMSUB", "lightspeed:0:chat:16") == [b"lightspeed:0:chat:16", 2]
    first, second, *_rest = capsys.readouterr().out.splitlines()
    assert first.startswith("chat/a: beat 0.")
    assert second.startswith("chat/b: beat 0.")
    assert "s ago, lease " in first
    assert first.endswith("0 broadcasts/s, 0 changes/s, gaps 0")


def test_watch_counts_and_ends_when_it_is_interrupted_or_nobody_reads_it(server):
    with node("a", server.url) as a, subprocess.Popen([*COMMAND, server.url], stdout=subprocess.PIPE, text=True) as watching:
        a.handle(Join("of ann", "t", "ann", 1))
        for line in watching.stdout:
            a.handle(Broadcast("of ann", "t", "hello"))
            if "chat/a: " in line and " 1 broadcasts/s" in line:
                break
        os.kill(watching.pid, signal.SIGINT)
        assert watching.wait(10) == 130
    with subprocess.Popen([*COMMAND, server.url], stdout=subprocess.PIPE) as watching:
        watching.stdout.close()
        assert watching.wait(10) == 0


def test_watch_goes_on_when_the_redis_comes_back(server):
    with subprocess.Popen([*COMMAND, server.url], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout.readline() == "no node is heard\n"
        server.kill()
        assert any("redis://127.0.0.1" in line for line in watching.stdout)
        server.start()
        with node("a", server.url):
            assert any("chat/a: beat" in line for line in watching.stdout)
        os.kill(watching.pid, signal.SIGINT)
        assert watching.wait(10) == 130
