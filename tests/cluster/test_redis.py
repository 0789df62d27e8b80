"""Channels as nodes of a cluster over a Redis of the test's own."""

import asyncio
import os
import queue
import shutil
import socket
import subprocess
import sys
import time
import warnings

import pytest
from redis_server import free_port

from lightspeed.channel import (
    AsyncChannel,
    Broadcast,
    BroadcastMessage,
    Channel,
    ClusterReady,
    InvalidOption,
    Join,
    NodeNameTaken,
    PresenceDiff,
    System,
)
from lightspeed.cluster import MemoryBus, RedisEngine

pytestmark = pytest.mark.slow

LEASE_S, BEAT_S = 0.6, 0.2


def engine_ready(name, engine, lease_s=LEASE_S):
    return ClusterReady(name, "chat", engine, lease_s=lease_s, beat_s=lease_s / 3)


class Node(Channel):
    """A channel of which a test awaits what it gives out."""

    def __init__(self, name, url, lease_s=LEASE_S, **engine_options):
        self.out = queue.SimpleQueue()
        super().__init__(engine_ready(name, RedisEngine(url, **engine_options), lease_s), on_outbound=self.out.put)

    def await_one(self, wanted, timeout_s=10.0):
        """The first of what it gives out from here on that is wanted."""
        end_s = time.monotonic() + timeout_s
        while not wanted(message := self.out.get(timeout=max(0.0, end_s - time.monotonic()))):
            pass
        return message

    def await_text(self, text):
        return self.await_one(lambda message: isinstance(message, BroadcastMessage) and message.payload == text)

    def await_label(self, label):
        return self.await_one(lambda message: isinstance(message, System) and message.label == label)

    def await_join(self, key):
        return self.await_one(lambda m: isinstance(m, PresenceDiff) and key in [entry.key for entry in m.diff.joins])

    def await_leave(self, key):
        return self.await_one(lambda m: isinstance(m, PresenceDiff) and key in [entry.key for entry in m.diff.leaves])


def join(node, name):
    node.handle(Join(f"of {name}", "t", name, 1))


def say(node, name, text):
    node.handle(Broadcast(f"of {name}", "t", text))


def users(node):
    return {entry.key for entry in node.presences("t")}


def meet(a, b):
    """Each has a member in the topic, and knows of the other's."""
    join(a, "ann")
    join(b, "bob")
    a.await_join("bob")
    if "ann" not in users(b):
        b.await_join("ann")


def test_broadcasts_and_presence_go_from_node_to_node_and_a_clean_end_is_told_at_once(server):
    with Node("b", server.url, lease_s=30.0) as b:
        with Node("a", server.url, lease_s=30.0) as a:
            meet(a, b)
            say(a, "ann", "hello")
            assert b.await_text("hello").recipients == ("of bob",)
            assert users(a) == users(b) == {"ann", "bob"}
        b.await_leave("ann")
    assert server.ask("KEYS", "*") == []


def test_a_second_node_of_a_living_ones_name_is_refused_and_the_name_is_free_again_after_its_end(server):
    with Node("a", server.url):
        with pytest.raises(NodeNameTaken, match="node a of cluster chat is alive already"):
            Node("a", server.url)
        with Node("b", server.url):
            pass
    with Node("a", server.url):
        pass


def test_a_node_takes_the_name_of_one_that_died_once_its_lease_is_over(server):
    server.ask("SET", "lightspeed:0:chat:name:a", "another boot", "PX", "700")
    with Node("a", server.url):
        assert server.ask("GET", "lightspeed:0:chat:name:a") != b"another boot"


def test_after_a_restart_of_the_server_without_its_data_nobody_has_left_and_broadcasts_come(server):
    with Node("a", server.url) as a, Node("b", server.url) as b:
        meet(a, b)
        server.kill()
        say(a, "ann", "meanwhile")
        server.start()
        say(a, "ann", "after")
        came = [b.await_one(lambda message: True)]
        while not (isinstance(came[-1], BroadcastMessage) and came[-1].payload == "after"):
            came.append(b.await_one(lambda message: True))
        assert [message.payload for message in came if isinstance(message, BroadcastMessage)] == ["meanwhile", "after"]
        assert not [message for message in came if isinstance(message, PresenceDiff) and message.diff.leaves]
        assert users(a) == users(b) == {"ann", "bob"}


def test_a_subscriber_that_is_cut_comes_back_and_is_told_what_it_lost(server):
    with Node("a", server.url) as a, Node("b", server.url) as b:
        meet(a, b)
        server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        for number in range(50):
            say(a, "ann", str(number))
        heard, lost = 0, 0
        while heard + lost < 50:
            message = b.await_one(
                lambda message: isinstance(message, BroadcastMessage) or "gap:a" in getattr(message, "label", "")
            )
            heard += isinstance(message, BroadcastMessage)
            lost += 0 if isinstance(message, BroadcastMessage) else int(message.label.rpartition(":")[2])
        assert heard + lost == 50
        assert users(b) == {"ann", "bob"}


def test_a_node_is_made_without_a_server_goes_on_alone_and_joins_when_there_is_one(server_of):
    server = server_of(starts=False)
    begun_s = time.monotonic()
    with Node("a", server.url) as a:
        assert time.monotonic() - begun_s < 2.0
        join(a, "ann")
        say(a, "ann", "alone")
        a.await_text("alone")
        a.await_label("isolated")
        server.start()
        a.await_label("joined")
        with Node("b", server.url) as b:
            join(b, "bob")
            a.await_join("bob")
            b.await_join("ann")


def test_a_server_that_accepts_and_never_answers_holds_nobody_up(server_of):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        begun_s = time.monotonic()
        with Node("a", f"redis://127.0.0.1:{mute.getsockname()[1]}") as a:
            join(a, "ann")
        assert time.monotonic() - begun_s < 6.0


def test_a_redis_cluster_is_refused_by_name(server_of):
    server = server_of("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with pytest.raises(InvalidOption, match="engine must not be a Redis Cluster"):
        Node("a", server.url)


def test_a_wrong_password_is_refused_and_never_shown(server_of):
    server = server_of("--requirepass", "right")
    with pytest.raises(InvalidOption, match="engine must let this node in") as caught:
        Node("a", f"redis://:wrong@127.0.0.1:{server.port}")
    assert "wrong@" not in str(caught.value)
    with Node("a", f"redis://:right@127.0.0.1:{server.port}"):
        pass


def test_a_user_with_the_rights_that_the_docstring_lists_is_enough(server):
    text = " ".join(RedisEngine.__doc__.split())
    rights = text[text.index("`ACL SETUSER node") :].split("`")[1].split()
    server.ask(*rights)
    server.ask("ACL", "SETUSER", "default", "resetkeys")
    url = f"redis://node:secret@127.0.0.1:{server.port}/1"
    with Node("a", url) as a, Node("b", url) as b:
        meet(a, b)
        say(a, "ann", "hello")
        b.await_text("hello")
    with pytest.raises(InvalidOption, match="engine must let this node in"):
        Node("a", url, prefix="other:")


def test_databases_and_prefixes_are_apart(server):
    with Node("a", server.url) as a, Node("a", f"{server.url}/1") as alone, Node("a", server.url, prefix="other:") as other:
        join(alone, "dan")
        join(other, "eve")
        with Node("b", server.url) as b:
            meet(a, b)
            assert users(b) == {"ann", "bob"}
            assert (users(alone), users(other)) == ({"dan"}, {"eve"})


def test_a_unix_socket_carries_too(server_of):
    server = server_of("--unixsocket", "redis.sock")
    url = f"unix://{server.folder / 'redis.sock'}"
    with Node("a", url) as a, Node("b", url) as b:
        meet(a, b)


def test_tls_carries_too(server_of, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, cert, port = tmp_path / "key.pem", tmp_path / "cert.pem", free_port()
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        [*make, "-keyout", key, "-out", cert, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True
    )
    files = ("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(cert))
    server_of("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    url = f"rediss://localhost:{port}?ssl_ca_certs={cert}"
    with Node("a", url) as a, Node("b", url) as b:
        meet(a, b)
        say(a, "ann", "hello")
        b.await_text("hello")
        a._adapter.engine.reconnect("a test")
        say(b, "bob", "again")
        a.await_one(lambda message: isinstance(message, BroadcastMessage) or "gap:b" in getattr(message, "label", ""))


def test_an_async_channel_is_a_node_too(server):
    async def run():
        with Node("a", server.url) as a:
            async with AsyncChannel(engine_ready("b", RedisEngine(server.url))) as b, b.client("of bob", "bob") as bob:
                await asyncio.to_thread(join, a, "ann")
                await bob.join("t")
                await asyncio.to_thread(a.await_join, "bob")
                await asyncio.to_thread(say, a, "ann", "hello")
                async with asyncio.timeout(10):
                    async for message in bob:
                        if isinstance(message, BroadcastMessage):
                            break
                assert message.payload == "hello"

    asyncio.run(run())


@pytest.mark.parametrize(
    "url", ["redis+sentinel://host/service", "http://host", "", 5, "redis://host?colour=red", "redis://host:port"]
)
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(InvalidOption, match="url must begin with redis://"):
        RedisEngine(url)


def test_a_prefix_that_is_no_text_is_refused():
    with pytest.raises(InvalidOption, match="prefix must be a str, got 5"):
        RedisEngine("redis://localhost", prefix=5)


def test_without_redis_py_it_says_which_extra_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"pip install 'lightspeed-channels\[redis\]'"):
        RedisEngine("redis://localhost")


def test_what_is_shown_of_an_engine_holds_no_secret():
    assert repr(RedisEngine("redis://me:secret@host:1/2")) == "<RedisEngine redis://host:1/2>"


def test_an_engine_is_one_channels_alone():
    engine = MemoryBus().engine()
    with Channel(engine_ready("a", engine)), pytest.raises(InvalidOption, match="engine must be the channel's own"):
        Channel(engine_ready("b", engine))


def test_a_forked_child_ends_and_leaves_the_parents_links_alone(server):
    with Node("a", server.url) as a, Node("b", server.url) as b:
        meet(a, b)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's own since 3.12: a fork where there are threads
            child = os.fork()
        if child == 0:
            os._exit(0 if a._adapter.engine._reader.connection._sock.fileno() == -1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        say(a, "ann", "hello")
        b.await_text("hello")


PROGRAM = """
import sys
from lightspeed.channel import Channel, ClusterReady, Join
from lightspeed.cluster import RedisEngine
channel = Channel(ClusterReady("b", "chat", RedisEngine(sys.argv[1]), lease_s=30.0, beat_s=1.0))
channel.handle(Join("of bob", "t", "bob", 1))
print("in", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("close", ["channel.close()", ""])
def test_a_process_that_ends_hangs_never_and_what_it_closed_is_told_before_its_end(server, close):
    with Node("a", server.url, lease_s=30.0) as a:
        join(a, "ann")
        command = [sys.executable, "-c", PROGRAM + close, server.url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            a.await_join("bob")
            program.communicate("\n", timeout=10)
            if close:
                a.await_leave("bob")
            assert program.returncode == 0
