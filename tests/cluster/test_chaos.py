"""What goes wrong between nodes that are processes, and their Redis: nothing is lost untold, nobody dies falsely or lives on."""

import signal
import threading
import time

import pytest
from cluster_nodes import BEAT_S, LEASE_S, Account, Nodes
from stalling_proxy import StallingProxy

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


def rest(seconds):
    """Trouble lasts a while: that is what is tested."""
    threading.Event().wait(seconds)


@pytest.fixture
def nodes():
    nodes = Nodes()
    yield nodes
    nodes.end()


@pytest.fixture
def proxy(server):
    proxy = StallingProxy(server.port)
    yield proxy
    proxy.close()


def start_three(nodes, url, second_url=None):
    three = [nodes.start(name, second_url if second_url and name == "b" else url) for name in "abc"]
    nodes.await_all_hear_all()
    rest(2 * BEAT_S)
    return three


def hold(what, nodes, capsys):
    """All is as it should be again, and was accounted for."""
    converged_s = nodes.await_all_hear_all(30.0)
    rest(LEASE_S)
    account = Account(nodes, nodes.at_rest())
    with capsys.disabled():
        print(f"\n  {account.row(what, converged_s)}")
    assert (account.untold, account.duplicates, account.disorders) == (0, 0, 0)
    assert (account.false_deaths, account.zombies) == ([], [])
    return account


def test_a_node_is_killed(server, nodes, capsys):
    _a, b, _c = start_three(nodes, server.url)
    nodes.kill(b)
    rest(LEASE_S + 2 * BEAT_S)
    assert hold("kill -9", nodes, capsys).told == 0


def test_a_node_is_killed_and_comes_again_under_its_name(server, nodes, capsys):
    _a, b, _c = start_three(nodes, server.url)
    nodes.kill(b)
    nodes.start("b", server.url)
    assert hold("kill -9 and restart", nodes, capsys).told == 0


@pytest.mark.parametrize("seconds", [LEASE_S / 3, 20])
def test_a_node_is_stopped_and_goes_on(server, nodes, capsys, seconds):
    _a, b, _c = start_three(nodes, server.url)
    if seconds > LEASE_S:
        nodes.stop(b)
    else:
        b.signal(signal.SIGSTOP)
    rest(seconds)
    b.signal(signal.SIGCONT)
    hold(f"SIGSTOP {seconds:g} s", nodes, capsys)


@pytest.mark.parametrize("keeps", [True, False], ids=["with its data", "without its data"])
@pytest.mark.parametrize("seconds", [1, 10])
def test_redis_is_killed(server_of, nodes, capsys, seconds, keeps):
    server = server_of(keeps=keeps)
    start_three(nodes, server.url)
    server.kill()
    rest(seconds)
    server.start()
    assert hold(f"Redis killed for {seconds} s, {'with' if keeps else 'without'} its data", nodes, capsys).told == 0


def test_a_subscriber_is_cut(server, nodes, capsys):
    start_three(nodes, server.url)
    first = server.ask("CLIENT", "LIST", "TYPE", "pubsub").decode().split()[0].removeprefix("id=")
    server.ask("CLIENT", "KILL", "ID", first)
    hold("CLIENT KILL", nodes, capsys)


def test_redis_pauses(server, nodes, capsys):
    start_three(nodes, server.url)
    server.ask("CLIENT", "PAUSE", "8000", "ALL")
    rest(8)
    hold("CLIENT PAUSE 8 s", nodes, capsys)


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("half-open", {"to_client": True, "to_server": True}),
        ("deaf", {"to_client": True, "to_server": False, "others": False}),
        ("mute", {"to_client": False, "to_server": True, "subscribers": False}),
    ],
)
def test_a_link_goes_dead_without_a_word(server, proxy, nodes, capsys, what, how):
    start_three(nodes, server.url, proxy.url)
    proxy.stall(**how)
    rest(6 * BEAT_S)
    hold(f"a link that is {what}", nodes, capsys)


def test_three_nodes_are_restarted_in_turn_under_load(server, nodes, capsys):
    for node in start_three(nodes, server.url):
        nodes.close(node)
        begun_s = time.monotonic()
        nodes.start(node.name, server.url)
        assert time.monotonic() - begun_s < 10.0
        rest(2 * BEAT_S)
    assert hold("a rolling restart", nodes, capsys).told == 0
